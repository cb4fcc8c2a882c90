# configs/scannet's SpUNet from an encoder of msc_spunet_8xb4-600e_scannet.py; PRETRAIN3D_CHECKPOINT names its
# checkpoint.
_base_ = ['../../scannet/spunet_1xb12-800e_scannet20.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/msc_spunet_8xb4-600e_scannet/epoch_600.pth}}'
custom_hooks = _base_.custom_hooks + [
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.)
]
