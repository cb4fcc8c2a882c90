# Narrow SpUNet on drawn streets as SemanticKITTI's LiDAR sees them, on a CPU: 400 steps of 4 sweeps.
# PRETRAIN3D_SEMANTICKITTI names the world (tools/make_world.py street OUT --as semantickitti, then
# tools/data/semantickitti.py). PRETRAIN3D_FRAMES=10% trains on every tenth sweep.
_base_ = [
    '../_base_/models/spunet_street.py', '../_base_/datasets/semantickitti_seg.py',
    '../_base_/schedules/street_seg.py', '../_base_/default_runtime.py'
]
model = dict(data_preprocessor=dict(num_classes=19), decode_head=dict(num_classes=19))
# Neither clipped nor grid-sampled: the sweeps are small and the voxels wide.
train_pipeline = _base_.load_steps + [
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3.141592653589793, 3.141592653589793]),
    dict(
        type='GlobalRotScaleTrans', rot_range=[0, 0], scale_ratio_range=[0.9, 1.1],
        translation_std=[0.1, 0.1, 0.1]),
    dict(type='RandomFlipPoints', prob=0.5),
    dict(type='RandomJitterPoints', jitter_std=0.005, clip_range=0.02),
] + _base_.pack_steps
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    sampler=dict(_delete_=True, type='SeededInfiniteSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline))
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(by_epoch=False, interval=_base_.max_iters))
log_processor = dict(window_size=20, by_epoch=False)
