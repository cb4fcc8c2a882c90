# Two views of one scan for Masked Scene Contrast, each augmented on its own: ScanNet's train split, real or drawn, with
# colours and normals, no labels. PRETRAIN3D_SCANNET names the converted folder.
# The released recipe trains on validation and test scans as well; here no scan that is tested on is seen.
data_root = '{{$PRETRAIN3D_SCANNET:data/scannet}}'
voxel_size = 0.02

load_steps = [
    # Not use_color=True, which takes the last three columns, the normals, for the colour.
    dict(type='LoadPointsChecked', coord_type='DEPTH', load_dim=9, use_dim=9),
    dict(type='NamePointColumns', color=[3, 4, 5], normal=[6, 7, 8]),
]
# Where a point is now is where both views have it: behind the scaling, so that patches and matches are of its scale.
share_steps = [
    dict(type='CenterShift'),
    dict(type='GlobalRotScaleTrans', rot_range=[0, 0], scale_ratio_range=[0.9, 1.1]),
    dict(type='KeepWorldCoordinates'),
    dict(type='AddPointIndex'),
]
augment = [
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3.141592653589793, 3.141592653589793]),
    dict(type='RandomRotatePoints', axis='x', angle_range=[-0.04908738521234052, 0.04908738521234052]),
    dict(type='RandomRotatePoints', axis='y', angle_range=[-0.04908738521234052, 0.04908738521234052]),
    dict(type='RandomFlipPoints', prob=0.5),
    dict(type='RandomJitterPoints', jitter_std=0.005, clip_range=0.02),
    dict(type='RandomColorJitter', brightness=0.4, contrast=0.4, saturation=0.2, hue=0.02, prob=0.8),
    dict(type='ChromaticJitter', prob=0.95, std=0.05),
    dict(type='GridSamplePoints', voxel_size=voxel_size),
    dict(type='SphereCrop', fraction=0.6),
    # In whole voxels: the data preprocessor then finds one point in each voxel.
    dict(type='CenterShift', axes='xy', step=voxel_size),
    dict(type='NormalizePointsColor', color_mean=None),
]
pack_steps = [dict(type='PackPretrain3DInputs', keys=[], point_keys=['xyz_world'], domain='ScanNet')]
train_pipeline = load_steps + share_steps + [
    dict(type='MakeViews', views=dict(view0=augment, view1=augment))
] + pack_steps
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeededSampler', shuffle=True),
    dataset=dict(
        type='ScanNet20Dataset',
        data_root=data_root,
        data_prefix=dict(pts='points_normals', pts_instance_mask='', pts_semantic_mask=''),
        ann_file='scannet_infos_train.pkl',
        pipeline=train_pipeline))
