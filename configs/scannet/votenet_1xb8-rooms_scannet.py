# mmdet3d's VoteNet on 8,000 points a scan, with a quarter of its seeds and proposals, 300 steps: for drawn rooms on a
# CPU, in minutes. One box a scan: --cfg-options train_dataloader.dataset.limit_boxes=1
_base_ = [
    'mmdet3d::_base_/models/votenet.py', '../_base_/datasets/scannet_det.py', '../_base_/default_runtime.py'
]
num_points = 8000
model = dict(
    backbone=dict(num_points=(512, 256, 128, 64), num_samples=(32, 16, 16, 16)),
    bbox_head=dict(
        num_classes=18,
        vote_aggregation_cfg=dict(num_point=64),
        bbox_coder=dict(
            type='PartialBinBasedBBoxCoder',
            num_sizes=18,
            num_dir_bins=1,
            with_rot=False,
            # Mean extents of ScanNet's boxes of each class, metres.
            mean_sizes=[[0.77, 0.81, 0.93], [1.88, 1.84, 1.19], [0.61, 0.61, 0.72], [1.40, 1.51, 0.83],
                        [0.98, 1.07, 0.63], [0.53, 0.60, 1.75], [0.96, 0.72, 1.15], [0.83, 1.05, 1.69],
                        [0.21, 0.42, 0.54], [1.44, 1.90, 0.27], [1.03, 1.40, 0.88], [1.38, 0.66, 1.68],
                        [0.67, 0.71, 1.30], [0.42, 0.38, 1.75], [0.59, 0.59, 0.74], [0.51, 0.51, 0.30],
                        [1.15, 1.05, 0.50], [0.48, 0.49, 0.52]])))

train_dataloader = dict(
    num_workers=1,
    sampler=dict(_delete_=True, type='SeededInfiniteSampler', shuffle=True),
    dataset=dict(pipeline=[
        dict(step, num_points=num_points) if step['type'] == 'PointSample' else step for step in _base_.train_pipeline
    ]))
test_pipeline = [
    dict(step, num_points=num_points) if step['type'] == 'PointSample' else step for step in _base_.test_pipeline
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

max_iters = 300
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.01), clip_grad=dict(max_norm=10))
param_scheduler = [dict(type='OneCycleLR', eta_max=2e-3, total_steps=max_iters, pct_start=0.2, by_epoch=False)]
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(by_epoch=False, interval=max_iters))
log_processor = dict(window_size=20, by_epoch=False)
