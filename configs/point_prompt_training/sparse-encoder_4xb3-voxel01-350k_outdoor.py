# The voxel encoder of CenterPoint (voxels of 0.1 m) with domain prompts in every norm, pre-trained by segmenting
# nuScenes, SemanticKITTI and Waymo in turns (PRETRAIN3D_DOMAINS names fewer). Folded for one domain it is the stock
# encoder of a detector: ../nuscenes/benchmarks.
#   python tools/convert_weights.py fold work_dirs/<this>/iter_350000.pth encoder.pth --domain nuScenes
_base_ = [
    '../_base_/models/sparse_encoder.py', '../_base_/datasets/outdoor_joint.py', '../_base_/default_runtime.py',
    '../_base_/schedules/adamw_cosine_350k.py'
]
model = dict(
    type='DomainSegmentor',
    data_preprocessor=dict(
        num_classes=dict(_delete_=True, **{name: _base_.numbers[name]
                                           for name in _base_.ratios})),
    backbone=dict(
        _delete_=True, type='PromptedBackbone', backbone=_base_.model.backbone, domains=list(_base_.ratios),
        adapter='norm', scope='all', channels=256, zero_init=True),
    decode_head=dict(
        _delete_=True,
        type='LanguageGuidedHead',
        in_channels=96,
        label_spaces=_base_.label_spaces,
        lovasz_weight=1.,
        text_bank='{{$PRETRAIN3D_TEXT_BANK:data/text_banks/clip_vitb16.npz}}'),
    keep_logits=False)
# What lies outside the detector's range is left out by the data preprocessor, not brought onto a box, and all points of
# a voxel are kept: the encoder is to see what the detector will give it. Waymo's origin is on the road, so
# its range ends 3 m above the road; that of the others is at the sensor, so theirs end nearly 5 m above it.
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                **_base_.datasets[name],
                **_base_.train_splits[name],
                pipeline=_base_.load_steps[name] + _base_.turn_steps + _base_.augmentation +
                [_base_.pack_steps[name]]) for name in _base_.ratios
        ]))
custom_hooks = [dict(type='ConfigCheckHook'), dict(type='InputCheckHook'), dict(type='DomainCheckHook')]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=35000))
log_processor = dict(by_epoch=False)
