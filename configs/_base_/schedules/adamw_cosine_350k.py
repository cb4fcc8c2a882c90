# Point Prompt Training's joint schedule outdoors, 350 k steps of 12 sweeps: a warm-up of 14 k, then half a cosine. The
# released scheduler also moves AdamW's beta1, 0.95 to 0.85 and back. Schedulers that know groups:
# OneCycleLR(eta_max=...) would set one rate for all.
_base_ = ['./prompt_rates.py']
max_iters = 350000
warm_up = 14000
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=35000)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, betas=(0.95, 0.999), weight_decay=5e-3),
    paramwise_cfg=dict(custom_keys=_base_.prompt_rates))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=warm_up, by_epoch=False),
    dict(
        type='CosineAnnealingLR', eta_min_ratio=1e-3, begin=warm_up, end=max_iters, T_max=max_iters - warm_up,
        by_epoch=False),
    dict(type='LinearMomentum', start_factor=1, end_factor=0.85 / 0.95, end=warm_up, by_epoch=False),
    dict(
        type='CosineAnnealingMomentum', eta_min=0.95, begin=warm_up, end=max_iters, T_max=max_iters - warm_up,
        by_epoch=False),
]
