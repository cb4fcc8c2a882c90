# SRUNet-18A (15.5 M parameters, colours alone) on drawn rooms; its widths are fixed, so steps take longer.
_base_ = ['./spunet_1xb4-rooms_scannet20.py']
model = dict(
    data_preprocessor=dict(feature_dims=[3, 4, 5]),
    backbone=dict(
        _delete_=True, type='SRUNet', in_channels=3, depth='18A', norm_cfg=dict(type='BN1d', momentum=0.1)),
    decode_head=dict(in_channels=96, lovasz_weight=0.))
