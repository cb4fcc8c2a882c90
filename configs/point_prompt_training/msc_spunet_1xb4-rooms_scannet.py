# Narrow SpUNet on the colours of 10 cm voxels: for drawn rooms on a CPU, in a minute.
_base_ = [
    '../_base_/models/spunet_rooms.py', '../_base_/datasets/scannet_msc.py', '../_base_/default_runtime.py'
]
model = dict(
    type='MaskedSceneContrast',
    head=dict(
        in_channels=24,
        voxel_channels=3,
        patch_size=0.3,
        radius=0.1,
        pairs_per_scene=512,
        # Fewer negatives than the released 0.4 is made for.
        loss=dict(type='PointInfoNCELoss', temperature=0.1)))

# Not thinned, so that a voxel's colour is the mean of a few points.
augment = [
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3.141592653589793, 3.141592653589793]),
    dict(type='RandomFlipPoints', prob=0.5),
    dict(type='RandomJitterPoints', jitter_std=0.005, clip_range=0.02),
    dict(type='RandomColorJitter', brightness=0.4, contrast=0.4, saturation=0.2, hue=0.02, prob=0.8),
    dict(type='ChromaticJitter', prob=0.95, std=0.05),
    dict(type='SphereCrop', fraction=0.6),
    dict(type='NormalizePointsColor', color_mean=None),
]
train_dataloader = dict(
    num_workers=1,
    sampler=dict(_delete_=True, type='SeededInfiniteSampler', shuffle=True),
    dataset=dict(pipeline=_base_.load_steps + _base_.share_steps + [
        dict(type='MakeViews', views=dict(view0=augment, view1=augment))] + _base_.pack_steps))

max_iters = 80
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-3, weight_decay=0.01))
param_scheduler = [dict(type='OneCycleLR', eta_max=5e-3, total_steps=max_iters, pct_start=0.2, by_epoch=False)]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(by_epoch=False, interval=max_iters))
log_processor = dict(
    window_size=10, by_epoch=False, custom_cfg=[dict(data_src='msc.retrieval', method_name='mean', window_size=10)])
