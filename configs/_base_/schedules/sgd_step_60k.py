# Pre-training of Contrastive Scene Contexts: 60 k steps of 32 pairs, the rate times 0.99 every 1000 (0.054 at the end).
max_iters = 60000
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.8, weight_decay=1e-4))
param_scheduler = [dict(type='StepLR', step_size=1000, gamma=0.99, by_epoch=False)]
