# The same from a pre-trained SpUNet of the same input; PRETRAIN3D_CHECKPOINT names its checkpoint, by default one that
# learnt SemanticKITTI's classes.
_base_ = ['../spunet_1xb12-50e_nuscenes16.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/spunet_1xb12-50e_semantickitti19/epoch_50.pth}}'
custom_hooks = _base_.custom_hooks + [
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.)
]
