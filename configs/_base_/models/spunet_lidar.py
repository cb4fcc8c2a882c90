# SpUNet (39.2 M) on LiDAR sweeps: x, y, z and strength (0 ... 1) of 5 cm voxels, nuScenes' 16 classes.
_base_ = ['spunet.py']
model = dict(
    data_preprocessor=dict(voxel_size=0.05, feature_dims=None, num_classes=16),
    backbone=dict(in_channels=4),
    decode_head=dict(num_classes=16))
