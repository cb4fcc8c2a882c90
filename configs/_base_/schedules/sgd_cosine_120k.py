# Point Prompt Training's joint schedule, 120 k steps of 24 scenes: a warm-up of 6 k, then half a cosine. Rates are
# those of the released configs (0.05; the paper prints 0.5); their scheduler also moves the momentum, 0.95 to 0.85 and
# back, whatever they say. Schedulers that know groups: OneCycleLR(eta_max=...) would set one rate for all.
_base_ = ['./prompt_rates.py']
max_iters = 120000
warm_up = 6000
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=12000)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.05, momentum=0.95, weight_decay=1e-4, nesterov=True),
    paramwise_cfg=dict(custom_keys=_base_.prompt_rates))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=warm_up, by_epoch=False),
    dict(
        type='CosineAnnealingLR', eta_min_ratio=1e-5, begin=warm_up, end=max_iters, T_max=max_iters - warm_up,
        by_epoch=False),
    dict(type='LinearMomentum', start_factor=1, end_factor=0.85 / 0.95, end=warm_up, by_epoch=False),
    dict(
        type='CosineAnnealingMomentum', eta_min=0.95, begin=warm_up, end=max_iters, T_max=max_iters - warm_up,
        by_epoch=False),
]
