# nuScenes-lidarseg's 16 classes on single keyframe sweeps: x, y, z and the strength, intensity / 255.
# Real data or a drawn street, prepared by tools/data/nuscenes.py and tools/data/nuscenes_extras.py;
# PRETRAIN3D_NUSCENES names the folder. The release (v1.0-mini, v1.0-trainval) is the one of the info files.
# Few labels: PRETRAIN3D_SCENES=5%, or --cfg-options train_dataloader.dataset.scenes=5% (1, 5, 10, 25 %: 7, 35, 70, 175
# of the 700 scenes; also mini600, mini600:5%, or a file with a scene a line); PRETRAIN3D_SCENE_SEED=1 or .scene_seed=1
# draws the scenes
data_root = '{{$PRETRAIN3D_NUSCENES:data/nuscenes}}'
voxel_size = 0.05
# Point Prompt Training brings far points onto this box in training, a constant of the data set; testing does without.
point_clip_range = [-35.2, -35.2, -4., 35.2, 35.2, 2.]

load_steps = [
    # x, y, z, intensity of 0 ... 255; the fifth column is the number of the beam.
    dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=5, use_dim=4),
    dict(type='NormalizeStrength', scale=255.),
    dict(
        type='LoadAnnotationsChecked', with_bbox_3d=False, with_label_3d=False, with_seg_3d=True,
        seg_3d_dtype='np.uint8'),
    dict(type='PointSegClassMapping'),
]
pack_steps = [dict(type='PackPretrain3DInputs', keys=['points', 'pts_semantic_mask'], domain='nuScenes')]
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
    type='NuScenes16Dataset',
    data_root=data_root,
    # The dataset writes the release of the info file for {version}.
    data_prefix=dict(
        pts='samples/LIDAR_TOP', pts_semantic_mask='lidarseg/{version}', pts_panoptic_mask='panoptic/{version}'))
scenes = '{{$PRETRAIN3D_SCENES:all}}'
scene_seed = '{{$PRETRAIN3D_SCENE_SEED:none}}'
train_dataloader = dict(
    batch_size=12,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeededSampler', shuffle=True),
    dataset=dict(
        **dataset,
        ann_file='nuscenes_infos_train.pkl',
        pipeline=train_pipeline,
        scenes=None if scenes == 'all' else scenes,
        scene_seed=None if scene_seed == 'none' else int(scene_seed)))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, ann_file='nuscenes_infos_val.pkl', pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader

# Every point (the benchmark's number) and every voxel (the number of voxel-based papers).
val_evaluator = dict(type='MeanIoUMetric', levels=['vertex', 'voxel'])
test_evaluator = val_evaluator
