# The rooms recipe of configs/scannet from an encoder of msc_spunet_1xb4-rooms_scannet.py, whose checkpoint
# PRETRAIN3D_CHECKPOINT names.
_base_ = ['../../scannet/spunet_1xb4-rooms_scannet20.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/msc_spunet_1xb4-rooms_scannet/iter_80.pth}}'
custom_hooks = _base_.custom_hooks + [
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.)
]
