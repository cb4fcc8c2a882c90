# Point Prompt Training's schedule on one outdoor data set: AdamW 2e-3, 50 epochs of 12 sweeps a step, a warm-up of 2,
# then half a cosine. The released scheduler also moves AdamW's beta1, 0.95 to 0.85 and back. Schedulers that know
# groups: OneCycleLR(eta_max=...) would set one rate for all.
max_epochs = 50
warm_up = 2
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=10)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, betas=(0.95, 0.999), weight_decay=5e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=warm_up, by_epoch=True, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR', eta_min_ratio=1e-3, begin=warm_up, end=max_epochs, T_max=max_epochs - warm_up,
        by_epoch=True, convert_to_iter_based=True),
    dict(
        type='LinearMomentum', start_factor=1, end_factor=0.85 / 0.95, end=warm_up, by_epoch=True,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingMomentum', eta_min=0.95, begin=warm_up, end=max_epochs, T_max=max_epochs - warm_up,
        by_epoch=True, convert_to_iter_based=True),
]
