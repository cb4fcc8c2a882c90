# Two crops of one cloud, each with its own augmentation, for contrastive pre-training without frames: here the vertices
# of ScanNet's train split, real or drawn. PRETRAIN3D_SCANNET names the converted folder.
data_root = '{{$PRETRAIN3D_SCANNET:data/scannet}}'
voxel_size = 0.025

load_steps = [
    dict(type='LoadPointsChecked', coord_type='DEPTH', load_dim=6, use_dim=6),
    dict(type='NamePointColumns', color=[3, 4, 5]),
    # All views number these points and remember where they were.
    dict(type='KeepWorldCoordinates'),
    dict(type='AddPointIndex'),
]
augment = [
    dict(type='SphereCrop', fraction=0.6),
    dict(type='CenterOnMean'),
    dict(type='RandomDropoutPoints', ratio=0.2, prob=1.),
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3.141592653589793, 3.141592653589793]),
    dict(type='RandomRotatePoints', axis='x', angle_range=[-0.04908738521234052, 0.04908738521234052]),
    dict(type='RandomRotatePoints', axis='y', angle_range=[-0.04908738521234052, 0.04908738521234052]),
    dict(type='RandomJitterPoints', jitter_std=0.005, clip_range=0.02),
    dict(type='ChromaticJitter', prob=0.95, std=0.01),
    dict(type='NormalizePointsColor', color_mean=None),
]
train_pipeline = load_steps + [
    dict(type='MakeViews', views=dict(view0=augment, view1=augment)),
    # The same vertex in both crops; where too little is in both, another scan is drawn.
    dict(type='MatchViews', source='index', min_pairs=128),
    dict(type='PackPretrain3DInputs', keys=['pairs'], point_keys=['xyz_world']),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeededInfiniteSampler', shuffle=True),
    dataset=dict(
        type='ScanNet20Dataset',
        data_root=data_root,
        data_prefix=dict(pts='points', pts_instance_mask='', pts_semantic_mask=''),
        ann_file='scannet_infos_train.pkl',
        pipeline=train_pipeline))
