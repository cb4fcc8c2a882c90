# Pointcept's schedule for S3DIS: SGD 0.1, polynomial decay of power 0.9 over 3000 epochs, no warm-up.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3000, val_interval=100)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True))
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0., end=3000, by_epoch=True, convert_to_iter_based=True)
]
