# SRUNet-18A (15.5 M parameters) on drawn rooms; its widths are fixed, so steps take longer.
_base_ = ['./spunet_1xb4-rooms_scannet20.py']
model = dict(
    backbone=dict(
        _delete_=True, type='SRUNet', in_channels=3, depth='18A', norm_cfg=dict(type='BN1d', momentum=0.1)),
    decode_head=dict(in_channels=96, lovasz_weight=0.))
