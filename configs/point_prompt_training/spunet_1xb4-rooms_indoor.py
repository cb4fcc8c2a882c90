# Point Prompt Training on three drawn data sets with a narrow SpUNet: 400 steps of each, as the recipes of one data set
# (../scannet/spunet_1xb4-rooms_scannet20.py and its like) have. Worlds: tools/make_world.py rooms OUT --as scannet,
# s3dis, structured3d. PRETRAIN3D_DOMAINS names data sets and their turns, e.g. 'ScanNet=1,S3DIS=1'; a turn is 400 steps
# unless PRETRAIN3D_STEPS says how many there are in all. PRETRAIN3D_LABELS: labelled points of each room, by
# PRETRAIN3D_LABEL_SEED; unless given all.
# Words of classes are a stand-in (hashed n-grams) unless PRETRAIN3D_TEXT_BANK names a file: nothing about language
# follows from it.
_base_ = [
    '../_base_/models/spunet_rooms.py', '../_base_/datasets/indoor_joint.py', '../_base_/default_runtime.py',
    '../_base_/schedules/prompt_rates.py'
]
ratios = {
    part.split('=')[0]: int(part.split('=')[1])
    for part in '{{$PRETRAIN3D_DOMAINS:Structured3D=1,ScanNet=1,S3DIS=1}}'.split(',')
}
label_spaces = {name: _base_.spaces[name] for name in ratios}
limits = dict(
    limit_points=int('{{$PRETRAIN3D_LABELS:0}}') or None, limit_seed=int('{{$PRETRAIN3D_LABEL_SEED:0}}'))

model = dict(
    type='DomainSegmentor',
    data_preprocessor=dict(num_classes={name: _base_.numbers[name] for name in ratios}),
    backbone=dict(
        _delete_=True, type='PromptedBackbone', backbone=_base_.model.backbone, domains=list(ratios), adapter='norm',
        scope='all', channels=256, zero_init=True),
    decode_head=dict(
        type='LanguageGuidedHead', in_channels=24, label_spaces=label_spaces,
        text_bank='{{$PRETRAIN3D_TEXT_BANK:hashed-ngrams}}'))

# No cropping or bending: the rooms are small and the voxels coarse. Not centred either, see the recipe on ScanNet.
augmentation = [
    dict(type='LimitAnnotations'),
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3.141592653589793, 3.141592653589793]),
    dict(
        type='GlobalRotScaleTrans', rot_range=[0, 0], scale_ratio_range=[0.9, 1.1],
        translation_std=[0.1, 0.1, 0.1]),
    dict(type='RandomFlipPoints', prob=0.5),
    dict(type='RandomJitterPoints', jitter_std=0.005, clip_range=0.02),
    dict(type='ChromaticTranslation', prob=0.95, ratio=0.05),
    dict(type='ChromaticJitter', prob=0.95, std=0.05),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    batch_sampler=dict(_delete_=True, type='DomainBatchSampler', ratios=ratios),
    dataset=dict(
        datasets=[
            dict(
                **_base_.datasets[name],
                **_base_.train_splits[name],
                **limits,
                pipeline=_base_.load_steps + augmentation + [_base_.colour_step, _base_.pack_steps[name]])
            for name in ratios
        ]))
val_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                **_base_.datasets[name],
                **_base_.val_splits[name],
                pipeline=_base_.load_steps + [_base_.colour_step, _base_.pack_steps[name]],
                test_mode=True) for name in ratios
        ]))
test_dataloader = val_dataloader
val_evaluator = dict(label_spaces=dict(_delete_=True, **label_spaces))
test_evaluator = val_evaluator

max_iters = int('{{$PRETRAIN3D_STEPS:0}}') or 400 * sum(ratios.values())
warm_up = max(1, max_iters // 5)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-3, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys=_base_.prompt_rates))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.04, end=warm_up, by_epoch=False),
    dict(
        type='CosineAnnealingLR', eta_min_ratio=1e-5, begin=warm_up, end=max_iters, T_max=max_iters - warm_up,
        by_epoch=False),
]
custom_hooks = [dict(type='ConfigCheckHook'), dict(type='InputCheckHook'), dict(type='DomainCheckHook')]
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(by_epoch=False, interval=max_iters))
log_processor = dict(window_size=20, by_epoch=False)
