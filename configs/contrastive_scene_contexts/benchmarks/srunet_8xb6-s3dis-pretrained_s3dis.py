# The same from a pre-trained encoder; PRETRAIN3D_CHECKPOINT names the checkpoint of the pre-training.
_base_ = ['./srunet_8xb6-s3dis-scratch_s3dis.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/srunet_8xb4-p8-60k_scannet-pairs/iter_60000.pth}}'
custom_hooks = _base_.custom_hooks + [
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.)
]
