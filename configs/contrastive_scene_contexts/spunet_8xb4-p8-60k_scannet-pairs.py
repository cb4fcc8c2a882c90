# The same for SpUNet on colours, with the norms of configs/scannet's recipes: an encoder for
# benchmarks/spunet_1xb12-800e-pretrained_scannet20.py. (Recipes with normals have a wider stem, which it does not fit.)
_base_ = ['./srunet_8xb4-p8-60k_scannet-pairs.py']
model = dict(backbone=dict(_delete_=True, type='SpUNet', in_channels=3))
