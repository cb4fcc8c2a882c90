# From a pre-trained SRUNet (PRETRAIN3D_CHECKPOINT) with the settings of Coherent Semantic Cues: batch 32, 0.02 for what
# was pre-trained and 2.0 for the classifier, 100 epochs at every share of the labels.
_base_ = ['../srunet_1xb16-100e_nuscenes16.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/srunet_1xb10-100e-1pct_semantickitti19/epoch_100.pth}}'
custom_hooks = _base_.custom_hooks + [
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.)
]
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(
    optimizer=dict(lr=0.02), paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=100.))))
