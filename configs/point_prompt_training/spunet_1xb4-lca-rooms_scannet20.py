# The small recipe on drawn ScanNet alone with a language-guided head, on a stand-in for words.
_base_ = ['../scannet/spunet_1xb4-rooms_scannet20.py']
model = dict(
    decode_head=dict(
        _delete_=True,
        type='LanguageGuidedHead',
        in_channels=24,
        label_spaces=dict(ScanNet='ScanNet20'),
        text_bank='{{$PRETRAIN3D_TEXT_BANK:hashed-ngrams}}'))
custom_hooks = _base_.custom_hooks + [dict(type='DomainCheckHook')]
