# S3DIS alone, areas 1, 2, 3, 4, 6, from a joint model of the same areas (PRETRAIN3D_CHECKPOINT), at its 2 cm.
_base_ = ['../../s3dis/spunet_1xb12-3000e-2cm_s3dis.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/spunet_8xb3-120k_indoor/iter_120000.pth}}'
model = dict(
    type='DomainSegmentor',
    backbone=dict(_delete_=True, type='PromptedBackbone', backbone=_base_.model.backbone, domains=['S3DIS']),
    decode_head=dict(
        _delete_=True, type='LanguageGuidedHead', in_channels=96, label_spaces=dict(S3DIS='S3DIS13'),
        text_bank='{{$PRETRAIN3D_TEXT_BANK:data/text_banks/clip_vitb16.npz}}'))
custom_hooks = _base_.custom_hooks + [
    dict(type='DomainCheckHook'),
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.),
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='decode_head', target='decode_head', min_matched=1.),
]
# test.py --tta
tta_model = dict(type='FragmentVoting', augmentations='s3dis', vector_columns=[6, 7, 8])
tta_pipeline = _base_.test_pipeline
