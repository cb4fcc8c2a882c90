# SpUNet on ScanNet alone with the language-guided head of Point Prompt Training in place of a linear layer.
_base_ = ['../scannet/spunet_1xb12-800e_scannet20.py']
model = dict(
    decode_head=dict(
        _delete_=True,
        type='LanguageGuidedHead',
        in_channels=96,
        label_spaces=dict(ScanNet='ScanNet20'),
        text_bank='{{$PRETRAIN3D_TEXT_BANK:data/text_banks/clip_vitb16.npz}}'))
custom_hooks = _base_.custom_hooks + [dict(type='DomainCheckHook')]
