# Drawn ScanNet from the encoder of ../msc_spunet-ppt_1xb4-rooms_indoor.py (PRETRAIN3D_CHECKPOINT), and a fresh
# classifier.
_base_ = ['spunet_1xb4-rooms-ppt_scannet20.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/msc_spunet-ppt_1xb4-rooms_indoor/iter_240.pth}}'
model = dict(
    decode_head=dict(_delete_=True, type='DecoupledHead', in_channels=24, label_spaces=dict(ScanNet='ScanNet20')))
custom_hooks = _base_.custom_hooks[:-2] + [
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.)
]
