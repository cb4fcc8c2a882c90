# From a pre-trained SRUNet (PRETRAIN3D_CHECKPOINT) on 1 % of SemanticKITTI with the settings of Coherent Semantic Cues:
# batch 20, 0.1 for what was pre-trained and 4.0 for the classifier.
_base_ = ['../srunet_1xb10-100e-1pct_semantickitti19.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/srunet_1xb16-100e_nuscenes16/epoch_100.pth}}'
custom_hooks = _base_.custom_hooks + [
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.)
]
train_dataloader = dict(batch_size=20)
optim_wrapper = dict(
    optimizer=dict(lr=0.1), paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=40.))))
