# The same from a pre-trained SRUNet-18A; PRETRAIN3D_CHECKPOINT names its checkpoint, by default one that learnt the
# classes of the other drawn LiDAR.
_base_ = ['../srunet_1xb4-street_nuscenes16.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/srunet_1xb4-street_semantickitti19/iter_400.pth}}'
custom_hooks = _base_.custom_hooks + [
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.)
]
