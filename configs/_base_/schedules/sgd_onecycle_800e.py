# Pointcept's indoor schedule. Its scheduler also cycles the momentum (0.95, 0.85, 0.95); here it stays 0.9.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=800, val_interval=20)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4, nesterov=True))
param_scheduler = [
    dict(type='OneCycleLR', eta_max=0.05, pct_start=0.05, div_factor=10, final_div_factor=1e4, end=800,
         by_epoch=True, convert_to_iter_based=True)
]
