# Drawn ScanNet alone, 400 steps from the joint model of ../spunet_1xb4-rooms_indoor.py (PRETRAIN3D_CHECKPOINT).
_base_ = ['../../scannet/spunet_1xb4-rooms_scannet20.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/spunet_1xb4-rooms_indoor/iter_1200.pth}}'
model = dict(
    type='DomainSegmentor',
    backbone=dict(_delete_=True, type='PromptedBackbone', backbone=_base_.model.backbone, domains=['ScanNet']),
    decode_head=dict(
        _delete_=True, type='LanguageGuidedHead', in_channels=24, label_spaces=dict(ScanNet='ScanNet20'),
        text_bank='{{$PRETRAIN3D_TEXT_BANK:hashed-ngrams}}'))
custom_hooks = _base_.custom_hooks + [
    dict(type='DomainCheckHook'),
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.),
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='decode_head', target='decode_head', min_matched=1.),
]
# test.py --tta
tta_model = dict(type='FragmentVoting', augmentations='indoor', vector_columns=[6, 7, 8])
tta_pipeline = _base_.test_pipeline
