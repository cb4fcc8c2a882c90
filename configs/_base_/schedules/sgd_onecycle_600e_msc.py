# Masked Scene Contrast: 600 epochs, SGD 0.1, momentum 0.8, which the released scheduler cycles (0.95, 0.85, 0.95); here
# it stays.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=600)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.8, weight_decay=1e-4, nesterov=True))
param_scheduler = [
    dict(type='OneCycleLR', eta_max=0.1, pct_start=0.01, div_factor=10, final_div_factor=1e4, end=600,
         by_epoch=True, convert_to_iter_based=True)
]
