# SpUNet made narrow (1.2 M parameters) on x, y, z and strength of 20 cm voxels: for drawn streets on a CPU, in minutes.
_base_ = ['spunet_rooms.py']
model = dict(
    type='VoxelSegmentor',
    data_preprocessor=dict(voxel_size=0.2, feature_dims=None, num_classes=16),
    backbone=dict(in_channels=4),
    decode_head=dict(type='SegmentationHead', in_channels=24, num_classes=16))
