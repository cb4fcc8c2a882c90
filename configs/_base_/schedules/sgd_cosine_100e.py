# Fine-tuning of SLidR and Coherent Semantic Cues: SGD with dampening, 100 epochs at every share of the labels, a cosine
# that steps once an epoch. The rate is the recipe's.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=20)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.05, momentum=0.9, dampening=0.1, weight_decay=1e-4))
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0., T_max=100, end=100, by_epoch=True)]
