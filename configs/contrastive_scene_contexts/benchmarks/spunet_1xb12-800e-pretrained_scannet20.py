# configs/scannet's SpUNet on colours from a pre-trained encoder; PRETRAIN3D_CHECKPOINT names its checkpoint.
_base_ = ['../../scannet/spunet_1xb12-800e-colour_scannet20.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/spunet_8xb4-p8-60k_scannet-pairs/iter_60000.pth}}'
custom_hooks = _base_.custom_hooks + [
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.)
]
