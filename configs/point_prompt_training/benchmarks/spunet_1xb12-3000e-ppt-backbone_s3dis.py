# S3DIS alone, areas 1, 2, 3, 4, 6, from an encoder with prompts that was pre-trained without labels
# (PRETRAIN3D_CHECKPOINT), and a fresh classifier.
_base_ = ['spunet_1xb12-3000e-ppt_s3dis.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/msc_spunet-ppt_8xb4-120k_indoor/iter_120000.pth}}'
model = dict(
    decode_head=dict(_delete_=True, type='DecoupledHead', in_channels=96, label_spaces=dict(S3DIS='S3DIS13')))
custom_hooks = _base_.custom_hooks[:-2] + [
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.)
]
