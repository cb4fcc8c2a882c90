# Point Prompt Training on nuScenes, SemanticKITTI and Waymo in turns: PDNorm everywhere, classes by their words. 5 cm,
# x, y, z and strength as features. PRETRAIN3D_DOMAINS names fewer ('nuScenes=1,SemanticKITTI=1'). The file of words is
# made once, from CLIP's weights (PRETRAIN3D_TEXT_BANK names another):
#   python tools/build_text_bank.py data/text_banks/clip_vitb16.npz --model ViT-B-16-quickgelu --pretrained ViT-B-16.pt
# Its authors call this head still in tuning outdoors; theirs that works there is spunet_4xb3-decoupled-350k_outdoor.py.
_base_ = [
    '../_base_/models/spunet.py', '../_base_/datasets/outdoor_joint.py', '../_base_/default_runtime.py',
    '../_base_/schedules/adamw_cosine_350k.py'
]
model = dict(
    type='DomainSegmentor',
    data_preprocessor=dict(
        voxel_size=0.05,
        feature_dims=None,
        num_classes=dict(_delete_=True, **{name: _base_.numbers[name]
                                           for name in _base_.ratios}),
        mix3d_prob=0.8),
    backbone=dict(
        _delete_=True, type='PromptedBackbone', backbone=dict(type='SpUNet', in_channels=4),
        domains=list(_base_.ratios), adapter='norm', scope='all', channels=256, zero_init=True),
    decode_head=dict(
        _delete_=True,
        type='LanguageGuidedHead',
        in_channels=96,
        label_spaces=_base_.label_spaces,
        lovasz_weight=1.,
        text_bank='{{$PRETRAIN3D_TEXT_BANK:data/text_banks/clip_vitb16.npz}}'),
    # Logits of every point are for test-time augmentation.
    keep_logits=False)
# Tested on what it is trained on: far points stand on the box there, too, and get a prediction.
val_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                **_base_.datasets[name],
                **_base_.val_splits[name],
                pipeline=_base_.load_steps[name] + [
                    dict(type='ClipPoints', point_cloud_range=_base_.point_clip_ranges[name]), _base_.pack_steps[name]],
                test_mode=True) for name in _base_.ratios
        ]))
test_dataloader = val_dataloader
custom_hooks = [dict(type='ConfigCheckHook'), dict(type='InputCheckHook'), dict(type='DomainCheckHook')]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=35000))
log_processor = dict(by_epoch=False)
