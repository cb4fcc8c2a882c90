# Waymo's 22 classes on single frames: x, y, z in the vehicle frame and the strength, tanh(intensity).
# The real download, or a drawn street (make_world.py street --as waymo), either converted by tools/data/waymo.py;
# PRETRAIN3D_WAYMO names the folder that it made.
# Few labels: PRETRAIN3D_FRAMES=1%, or --cfg-options train_dataloader.dataset.frames=1% (every hundredth labelled frame),
# or .scenes=5% (every twentieth segment)
data_root = '{{$PRETRAIN3D_WAYMO:data/waymo}}'
voxel_size = 0.05
# Point Prompt Training brings far points onto this box in training, 75.2 m ahead and aside. Its heights, -4 to 2 m, are
# those of data sets whose origin is the sensor; here it is on the road, so that signs and lights above 2 m would all
# come to lie on one plane.
point_clip_range = [-75.2, -75.2, -2., 75.2, 75.2, 4.]

load_steps = [
    # x, y, z, intensity (no largest value), elongation.
    dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=5, use_dim=4),
    dict(type='NormalizeStrength', scale=1., tanh=True),
    dict(
        type='LoadAnnotationsChecked', with_bbox_3d=False, with_label_3d=False, with_seg_3d=True,
        seg_3d_dtype='np.uint8'),
    dict(type='PointSegClassMapping'),
]
pack_steps = [dict(type='PackPretrain3DInputs', keys=['points', 'pts_semantic_mask'], domain='Waymo')]
# Point Prompt Training's augmentation for outdoor scenes, in its order.
train_pipeline = load_steps + [
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3.141592653589793, 3.141592653589793], prob=0.5),
    dict(type='ClipPoints', point_cloud_range=point_clip_range),
    dict(type='GlobalRotScaleTrans', rot_range=[0, 0], scale_ratio_range=[0.9, 1.1]),
    dict(type='RandomFlipPoints', prob=0.5),
    dict(type='RandomJitterPoints', jitter_std=0.005, clip_range=0.02),
    dict(type='GridSamplePoints', voxel_size=voxel_size),
] + pack_steps
test_pipeline = load_steps + pack_steps

dataset = dict(
    type='Waymo22Dataset',
    data_root=data_root,
    data_prefix=dict(pts='', pts_semantic_mask=''))
frames = '{{$PRETRAIN3D_FRAMES:all}}'
train_dataloader = dict(
    batch_size=12,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeededSampler', shuffle=True),
    dataset=dict(
        **dataset,
        ann_file='waymo_infos_train.pkl',
        pipeline=train_pipeline,
        frames=None if frames == 'all' else frames))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, ann_file='waymo_infos_val.pkl', pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader

# Every point (the benchmark's number) and every voxel (the number of voxel-based papers).
val_evaluator = dict(type='MeanIoUMetric', levels=['vertex', 'voxel'])
test_evaluator = val_evaluator
