# ScanNet from a pre-trained encoder with prompts (PRETRAIN3D_CHECKPOINT) and a fresh classifier: after unsupervised
# pre-training, which has no head, for Table 6 (scannet_lr.yaml, scannet_la.yaml).
_base_ = ['../../scannet/spunet_1xb12-800e_scannet20.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/msc_spunet-ppt_8xb4-120k_indoor/iter_120000.pth}}'
model = dict(
    type='DomainSegmentor',
    backbone=dict(_delete_=True, type='PromptedBackbone', backbone=_base_.model.backbone, domains=['ScanNet']),
    decode_head=dict(
        _delete_=True, type='DecoupledHead', in_channels=96, label_spaces=dict(ScanNet='ScanNet20')))
custom_hooks = _base_.custom_hooks + [
    dict(type='DomainCheckHook'),
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.),
]
# test.py --tta
tta_model = dict(type='FragmentVoting', augmentations='indoor', vector_columns=[6, 7, 8])
tta_pipeline = _base_.test_pipeline
