# SRUNet-18A (15.5 M parameters) on the strength of 40 cm voxels of drawn streets; its widths are fixed, so steps take
# longer.
_base_ = ['./spunet_1xb4-street_nuscenes16.py']
model = dict(
    data_preprocessor=dict(voxel_size=0.4, feature_dims=[3]),
    backbone=dict(
        _delete_=True, type='SRUNet', in_channels=1, depth='18A', norm_cfg=dict(type='BN1d', momentum=0.1)),
    decode_head=dict(in_channels=96))
