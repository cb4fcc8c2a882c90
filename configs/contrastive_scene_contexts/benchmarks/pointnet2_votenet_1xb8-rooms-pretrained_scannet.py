# VoteNet on drawn rooms, from the PointNet++ that pointnet2_1xb4-p8-rooms_scannet-pairs.py pre-trained;
# PRETRAIN3D_CHECKPOINT names the checkpoint of the pre-training.
_base_ = ['../../scannet/votenet_1xb8-rooms_scannet.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/pointnet2_1xb4-p8-rooms_scannet-pairs/iter_400.pth}}'
custom_hooks = [
    dict(type='ConfigCheckHook'),
    dict(type='InputCheckHook'),
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.)
]
