# The same for SpUNet on colours: an encoder for configs/scannet's recipes.
_base_ = ['./srunet_8xb4-p8-60k_scannet-pairs.py']
model = dict(backbone=dict(_delete_=True, type='SpUNet', in_channels=3, norm_cfg=dict(type='BN1d', momentum=0.05)))
