# The same with the schedule that the paper states: SGD 0.5, 40 epochs of warm-up, cosine.
_base_ = ['spunet_1xb12-800e-ppt_scannet20.py']
optim_wrapper = dict(optimizer=dict(lr=0.5, nesterov=False))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=40, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=1e-4, begin=40, end=800, by_epoch=True, convert_to_iter_based=True),
]
