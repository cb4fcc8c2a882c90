# ScanNet200 from a joint model (PRETRAIN3D_CHECKPOINT): prompt and norms of 'ScanNet', and its projection to words,
# with the words of 200 classes in place of 20; colours and normals, as the joint model sees.
_base_ = ['../../scannet/spunet_1xb12-600e_scannet200.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/spunet_8xb3-120k_indoor/iter_120000.pth}}'
model = dict(
    type='DomainSegmentor',
    data_preprocessor=dict(feature_dims=[3, 4, 5, 6, 7, 8]),
    backbone=dict(_delete_=True, type='PromptedBackbone', backbone=dict(type='SpUNet', in_channels=6),
        domains=['ScanNet']),
    decode_head=dict(
        _delete_=True, type='LanguageGuidedHead', in_channels=96, label_spaces=dict(ScanNet='ScanNet200'),
        text_bank='{{$PRETRAIN3D_TEXT_BANK:data/text_banks/clip_vitb16.npz}}'))
custom_hooks = _base_.custom_hooks + [
    dict(type='DomainCheckHook'),
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.),
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='decode_head', target='decode_head', min_matched=1.),
]
# test.py --tta
tta_model = dict(type='FragmentVoting', augmentations='indoor', vector_columns=[6, 7, 8])
tta_pipeline = _base_.test_pipeline
