# The rooms recipe on colours alone, which is what frames have: from scratch, to compare with.
# 20 labels a scan: --cfg-options train_dataloader.dataset.limit_points=20
_base_ = ['../../scannet/spunet_1xb4-rooms_scannet20.py']
model = dict(data_preprocessor=dict(feature_dims=[3, 4, 5]), backbone=dict(in_channels=3))
