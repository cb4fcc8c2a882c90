# Drawn S3DIS alone, 400 steps from a joint model that has not seen it (PRETRAIN3D_CHECKPOINT):
#   PRETRAIN3D_DOMAINS='Structured3D=1,ScanNet=1' python tools/train.py \
#       configs/point_prompt_training/spunet_1xb4-rooms_indoor.py --work-dir work_dirs/rooms_without_s3dis
# Its prompt and statistics start from those of the domain that PRETRAIN3D_LIKE names, else from the mean of all.
_base_ = ['./spunet_1xb4-rooms-ppt_s3dis.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/rooms_without_s3dis/iter_800.pth}}'
custom_hooks = [hook for hook in _base_.custom_hooks if hook['type'] != 'WeightTransferHook'] + [
    dict(
        type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.,
        new_domains=dict(S3DIS='{{$PRETRAIN3D_LIKE:mean}}')),
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='decode_head', target='decode_head', min_matched=1.),
]
