# Point Prompt Training on Structured3D, ScanNet and S3DIS (4 : 2 : 1): PDNorm everywhere, classes by their words.
# The file of words is made once, from CLIP's weights (PRETRAIN3D_TEXT_BANK names another):
#   python tools/build_text_bank.py data/text_banks/clip_vitb16.npz --model ViT-B-16-quickgelu --pretrained ViT-B-16.pt
# Adapters: --cfg-options model.backbone.adapter=injection (or attention, none); .zero_init=False; .scope=encoder;
# .channels=512. All tables of the paper are in benchmarks/.
_base_ = [
    '../_base_/models/spunet.py', '../_base_/datasets/indoor_joint.py', '../_base_/default_runtime.py',
    '../_base_/schedules/sgd_cosine_120k.py'
]
model = dict(
    type='DomainSegmentor',
    data_preprocessor=dict(
        num_classes=dict(_delete_=True, **{name: _base_.numbers[name]
                                           for name in _base_.ratios}), mix3d_prob=0.8),
    backbone=dict(
        _delete_=True, type='PromptedBackbone', backbone=_base_.model.backbone, domains=list(_base_.ratios),
        adapter='norm', scope='all', channels=256, zero_init=True),
    decode_head=dict(
        _delete_=True,
        type='LanguageGuidedHead',
        in_channels=96,
        label_spaces=_base_.label_spaces,
        text_bank='{{$PRETRAIN3D_TEXT_BANK:data/text_banks/clip_vitb16.npz}}'),
    # Logits of every point are for test-time augmentation; scans of these data sets are large.
    keep_logits=False)
custom_hooks = [dict(type='ConfigCheckHook'), dict(type='InputCheckHook'), dict(type='DomainCheckHook')]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=12000))
log_processor = dict(by_epoch=False)
