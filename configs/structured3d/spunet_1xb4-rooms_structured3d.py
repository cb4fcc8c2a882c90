# Narrow SpUNet, 400 steps, on drawn homes: as ../scannet/spunet_1xb4-rooms_scannet20.py on drawn scans.
# 20 labels a room: --cfg-options train_dataloader.dataset.limit_points=20
_base_ = [
    '../_base_/models/spunet_rooms.py', '../_base_/datasets/structured3d_seg.py', '../_base_/default_runtime.py'
]
model = dict(
    type='VoxelSegmentor',
    data_preprocessor=dict(num_classes=25),
    decode_head=dict(type='SegmentationHead', in_channels=24, num_classes=25))

# No cropping or bending: the rooms are small and the voxels coarse.
train_pipeline = _base_.load_steps + [
    dict(type='LimitAnnotations'),
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3.141592653589793, 3.141592653589793]),
    dict(
        type='GlobalRotScaleTrans', rot_range=[0, 0], scale_ratio_range=[0.9, 1.1],
        translation_std=[0.1, 0.1, 0.1]),
    dict(type='RandomFlipPoints', prob=0.5),
    dict(type='RandomJitterPoints', jitter_std=0.005, clip_range=0.02),
    dict(type='ChromaticTranslation', prob=0.95, ratio=0.05),
    dict(type='ChromaticJitter', prob=0.95, std=0.05),
] + _base_.pack_steps
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    sampler=dict(_delete_=True, type='SeededInfiniteSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline))
# Not centred: training has seen every place of the floor in its voxels.
test_pipeline = _base_.load_steps + _base_.pack_steps
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

max_iters = 400
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-3, weight_decay=0.01))
param_scheduler = [dict(type='OneCycleLR', eta_max=5e-3, total_steps=max_iters, pct_start=0.2, by_epoch=False)]
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(by_epoch=False, interval=max_iters))
log_processor = dict(window_size=20, by_epoch=False)
