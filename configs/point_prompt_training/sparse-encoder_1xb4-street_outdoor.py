# The small encoder of ../nuscenes/*-street_nus-3d.py with domain prompts, pre-trained by segmenting two drawn LiDARs,
# 400 steps of each. Worlds: tools/make_world.py street OUT --as nuscenes, semantickitti. PRETRAIN3D_DOMAINS names data
# sets and their turns, e.g. 'nuScenes=1' for one alone; a turn is 400 steps unless PRETRAIN3D_STEPS says how many there
# are in all. Words of classes are a stand-in (hashed n-grams) unless PRETRAIN3D_TEXT_BANK names a file: nothing about
# language follows from it.
_base_ = [
    '../_base_/models/sparse_encoder_street.py', '../_base_/datasets/outdoor_pair.py', '../_base_/default_runtime.py',
    '../_base_/schedules/prompt_rates.py'
]
ratios = {
    part.split('=')[0]: int(part.split('=')[1])
    for part in '{{$PRETRAIN3D_DOMAINS:nuScenes=1,SemanticKITTI=1}}'.split(',')
}
assert set(ratios) <= set(_base_.spaces), (
    f'PRETRAIN3D_DOMAINS names {set(ratios) - set(_base_.spaces)}: choose from {list(_base_.spaces)}')
model = dict(
    type='DomainSegmentor',
    data_preprocessor=dict(
        num_classes=dict(_delete_=True, **{name: _base_.numbers[name]
                                           for name in ratios})),
    backbone=dict(
        _delete_=True, type='PromptedBackbone', backbone=_base_.model.backbone, domains=list(ratios), adapter='norm',
        scope='all', channels=256, zero_init=True),
    decode_head=dict(
        _delete_=True,
        type='LanguageGuidedHead',
        in_channels=48,
        label_spaces=_base_.label_spaces,
        lovasz_weight=1.,
        text_bank='{{$PRETRAIN3D_TEXT_BANK:hashed-ngrams}}'),
    keep_logits=False)
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(
        datasets=[
            dict(
                **_base_.datasets[name],
                **_base_.train_splits[name],
                pipeline=_base_.load_steps[name] + _base_.turn_steps + _base_.augmentation +
                [_base_.pack_steps[name]]) for name in ratios
        ]))

max_iters = int('{{$PRETRAIN3D_STEPS:0}}') or 400 * sum(ratios.values())
warm_up = max_iters // 5
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
