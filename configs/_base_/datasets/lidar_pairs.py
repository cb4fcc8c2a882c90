# Two crops of one LiDAR sweep, each with its own augmentation, for contrastive pre-training on a plain folder of .bin
# files. PRETRAIN3D_LIDAR names the folder; nuScenes: load_dim=5 (x, y, z, intensity, ring), KITTI: 4.
data_root = '{{$PRETRAIN3D_LIDAR:data/points}}'
load_dim = 5
voxel_size = 0.1

load_steps = [
    # x, y, z and the intensity.
    dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=load_dim, use_dim=4, on_nonfinite='drop'),
    dict(type='KeepWorldCoordinates'),
    dict(type='AddPointIndex'),
]
# Neither centred nor tilted: height above the ground and distance from the sensor mean something to a detector.
augment = [
    dict(type='SphereCrop', fraction=0.6),
    dict(type='RandomDropoutPoints', ratio=0.2, prob=1.),
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3.141592653589793, 3.141592653589793]),
    dict(type='GlobalRotScaleTrans', rot_range=[0, 0], scale_ratio_range=[0.95, 1.05]),
    dict(type='RandomFlipPoints', prob=0.5),
]
train_pipeline = load_steps + [
    dict(type='MakeViews', views=dict(view0=augment, view1=augment)),
    dict(type='MatchViews', source='index', min_pairs=128),
    dict(type='PackPretrain3DInputs', keys=['pairs'], point_keys=['xyz_world']),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeededInfiniteSampler', shuffle=True),
    dataset=dict(
        type='PointFolderDataset', data_root=data_root, load_dim=load_dim, suffix='.bin', pipeline=train_pipeline))
