# S3DIS (area 5 for testing) from scratch with the released settings: SGD at 0.1 with polynomial decay, 60 k steps of 48
# rooms, colours of 5 cm voxels. Augmentation is that of configs/s3dis.
_base_ = [
    '../../_base_/models/srunet.py', '../../_base_/datasets/s3dis_seg.py', '../../_base_/default_runtime.py'
]
model = dict(data_preprocessor=dict(voxel_size=0.05, num_classes=13), decode_head=dict(num_classes=13))
max_iters = 60000
train_dataloader = dict(batch_size=6, sampler=dict(_delete_=True, type='SeededInfiniteSampler', shuffle=True))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9, dampening=0.1, weight_decay=1e-4))
param_scheduler = [dict(type='PolyLR', power=0.9, end=max_iters, by_epoch=False)]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(by_epoch=False)
