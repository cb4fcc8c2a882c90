# The rooms recipe from a pre-trained encoder; PRETRAIN3D_CHECKPOINT names the checkpoint of the pre-training.
_base_ = ['../../scannet/spunet_1xb4-rooms_scannet20.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/spunet_1xb4-p8-rooms_scannet-pairs/iter_400.pth}}'
custom_hooks = [
    dict(type='ConfigCheckHook'),
    dict(type='InputCheckHook'),
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.)
]
