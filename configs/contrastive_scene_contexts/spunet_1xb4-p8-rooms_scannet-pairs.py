# Narrow SpUNet, 400 steps: for drawn rooms on a CPU, in minutes.
_base_ = [
    '../_base_/models/spunet_rooms.py', '../_base_/datasets/scannet_frame_pairs.py', '../_base_/default_runtime.py'
]
model = dict(
    type='ContrastiveSceneContexts',
    head=dict(
        in_channels=24,
        out_channels=32,
        samples_per_scene=1024,
        # A frame of a room gives a few hundred matches: fewer negatives than the paper's 0.4 is made for.
        loss=dict(type='SceneContextLoss', preset='p8', temperature=0.1)))

# Thinned to 4 cm, so that a voxel's colour is the mean of a few points; matched at that scale.
augment = [
    dict(type='GridSamplePoints', voxel_size=0.04),
    dict(type='CenterOnMean'),
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3.141592653589793, 3.141592653589793]),
    dict(type='GlobalRotScaleTrans', rot_range=[0, 0], scale_ratio_range=[0.9, 1.1]),
    dict(type='RandomFlipPoints', prob=0.5),
    dict(type='RandomJitterPoints', jitter_std=0.005, clip_range=0.02),
    dict(type='ChromaticTranslation', prob=0.95, ratio=0.05),
    dict(type='ChromaticJitter', prob=0.95, std=0.05),
    dict(type='NormalizePointsColor', color_mean=None),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(pipeline=[
        dict(type='LoadFramePair'),
        dict(
            type='MakeViews',
            views=dict(
                view0=[dict(type='TakeFrame', view='view0')] + augment,
                view1=[dict(type='TakeFrame', view='view1')] + augment)),
        dict(type='MatchViews', source='radius', radius=0.04, min_pairs=128),
        dict(type='PackPretrain3DInputs', keys=['pairs'], point_keys=['xyz_world']),
    ]))

max_iters = 400
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-3, weight_decay=0.01))
param_scheduler = [dict(type='OneCycleLR', eta_max=5e-3, total_steps=max_iters, pct_start=0.2, by_epoch=False)]
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(by_epoch=False, interval=max_iters))
log_processor = dict(
    window_size=20,
    by_epoch=False,
    custom_cfg=[dict(data_src='contrast.retrieval', method_name='mean', window_size=20)])
