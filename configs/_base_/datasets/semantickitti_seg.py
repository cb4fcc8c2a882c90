# SemanticKITTI's 19 classes on single sweeps: x, y, z and the strength (its remission, 0 ... 1).
# The real download, or a drawn street (make_world.py street --as semantickitti); lists by tools/data/semantickitti.py.
# PRETRAIN3D_SEMANTICKITTI names the folder that holds sequences/.
# Few labels: PRETRAIN3D_FRAMES=1%, or --cfg-options train_dataloader.dataset.frames=1% (every hundredth sweep, 192 of
# 19,130), or .scenes="['00']" (a sequence)
data_root = '{{$PRETRAIN3D_SEMANTICKITTI:data/semantickitti}}'
voxel_size = 0.05
# Point Prompt Training brings far points onto this box in training. Its two outdoor recipes swap the boxes of
# SemanticKITTI (35.2 m) and Waymo (75.2 m); here a box belongs to its data set.
point_clip_range = [-35.2, -35.2, -4., 35.2, 35.2, 2.]

load_steps = [
    dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=4, use_dim=4),
    dict(type='NormalizeStrength', scale=1.),
    # The class is in the lower 16 bits, the instance above.
    dict(
        type='LoadAnnotationsChecked', with_bbox_3d=False, with_label_3d=False, with_seg_3d=True,
        seg_3d_dtype='np.uint32', seg_offset=2**16, dataset_type='semantickitti'),
    dict(type='PointSegClassMapping'),
]
pack_steps = [dict(type='PackPretrain3DInputs', keys=['points', 'pts_semantic_mask'], domain='SemanticKITTI')]
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
    type='SemanticKITTI19Dataset',
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
        ann_file='semantickitti_infos_train.pkl',
        pipeline=train_pipeline,
        frames=None if frames == 'all' else frames))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, ann_file='semantickitti_infos_val.pkl', pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader

# Every point (the benchmark's number) and every voxel (the number of voxel-based papers).
val_evaluator = dict(type='MeanIoUMetric', levels=['vertex', 'voxel'])
test_evaluator = val_evaluator
