# Structured3D alone from a joint model (PRETRAIN3D_CHECKPOINT).
_base_ = ['../../structured3d/spunet_1xb12-100e_structured3d.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/spunet_8xb3-120k_indoor/iter_120000.pth}}'
model = dict(
    type='DomainSegmentor',
    backbone=dict(_delete_=True, type='PromptedBackbone', backbone=_base_.model.backbone, domains=['Structured3D']),
    decode_head=dict(
        _delete_=True, type='LanguageGuidedHead', in_channels=96, label_spaces=dict(Structured3D='Structured3D25'),
        text_bank='{{$PRETRAIN3D_TEXT_BANK:data/text_banks/clip_vitb16.npz}}'))
custom_hooks = _base_.custom_hooks + [
    dict(type='DomainCheckHook'),
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.),
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='decode_head', target='decode_head', min_matched=1.),
]
# test.py --tta
tta_model = dict(type='FragmentVoting', augmentations='indoor', vector_columns=[6, 7, 8])
tta_pipeline = _base_.test_pipeline
