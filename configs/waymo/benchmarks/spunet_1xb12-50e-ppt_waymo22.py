# Waymo alone from a joint model (PRETRAIN3D_CHECKPOINT), with the recipe from scratch: prompt, norms and words of
# 'Waymo' are taken over, those of other data sets are not.
_base_ = ['../spunet_1xb12-50e_waymo22.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/spunet_4xb3-350k_outdoor/iter_350000.pth}}'
model = dict(
    type='DomainSegmentor',
    backbone=dict(_delete_=True, type='PromptedBackbone', backbone=_base_.model.backbone, domains=['Waymo']),
    decode_head=dict(
        _delete_=True, type='LanguageGuidedHead', in_channels=96, label_spaces=dict(Waymo='Waymo22'),
        text_bank='{{$PRETRAIN3D_TEXT_BANK:data/text_banks/clip_vitb16.npz}}'))
custom_hooks = _base_.custom_hooks + [
    dict(type='DomainCheckHook'),
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='backbone', target='backbone', min_matched=1.),
    dict(type='WeightTransferHook', checkpoint=checkpoint, source='decode_head', target='decode_head', min_matched=1.),
]
