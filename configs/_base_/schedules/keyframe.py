# 150 steps on the one keyframe, one cycle of the rate, and a test with the last weights.
max_iters = 150
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters + 1)
test_cfg = dict()
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=35, norm_type=2))
param_scheduler = [dict(type='OneCycleLR', eta_max=3e-3, total_steps=max_iters, pct_start=0.2, by_epoch=False)]
