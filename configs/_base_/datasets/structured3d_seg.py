# Structured3D's 25 classes on whole rooms with colours and normals, fused from their rendered views by
# tools/data/structured3d.py, real or drawn. PRETRAIN3D_STRUCTURED3D names the converted folder.
# Fewer rooms: --cfg-options train_dataloader.dataset.limit_scenes=0.1
data_root = '{{$PRETRAIN3D_STRUCTURED3D:data/structured3d}}'
voxel_size = 0.02

load_steps = [
    dict(type='LoadPointsChecked', coord_type='DEPTH', load_dim=9, use_dim=9),
    dict(type='NamePointColumns', color=[3, 4, 5], normal=[6, 7, 8]),
    dict(
        type='LoadAnnotationsChecked', with_bbox_3d=False, with_label_3d=False, with_mask_3d=True, with_seg_3d=True),
    dict(type='PointSegClassMapping'),
]
pack_steps = [
    dict(type='NormalizePointsColor', color_mean=None),
    dict(type='PackPretrain3DInputs', keys=['points', 'pts_semantic_mask'], domain='Structured3D'),
]
# Point Prompt Training's augmentation for indoor scenes, in its order.
train_pipeline = load_steps + [
    dict(type='LimitAnnotations'),
    dict(type='CenterShift'),
    dict(type='RandomDropoutPoints', ratio=0.2, prob=0.2),
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3.141592653589793, 3.141592653589793], prob=0.5),
    dict(type='RandomRotatePoints', axis='x', angle_range=[-0.04908738521234052, 0.04908738521234052], prob=0.5),
    dict(type='RandomRotatePoints', axis='y', angle_range=[-0.04908738521234052, 0.04908738521234052], prob=0.5),
    dict(type='GlobalRotScaleTrans', rot_range=[0, 0], scale_ratio_range=[0.9, 1.1]),
    dict(type='RandomFlipPoints', prob=0.5),
    dict(type='RandomJitterPoints', jitter_std=0.005, clip_range=0.02),
    dict(type='ElasticDistortion', params=[(0.2, 0.4), (0.8, 1.6)], prob=0.95),
    dict(type='ChromaticAutoContrast', prob=0.2),
    dict(type='ChromaticTranslation', prob=0.95, ratio=0.05),
    dict(type='ChromaticJitter', prob=0.95, std=0.05),
    dict(type='GridSamplePoints', voxel_size=voxel_size),
    dict(type='SphereCrop', fraction=0.8),
    # In whole voxels: the data preprocessor then finds one point in each voxel.
    dict(type='CenterShift', axes='xy', step=voxel_size),
] + pack_steps
# Centred as in training: recipes that feed coordinates, and coarse voxels, would notice.
test_pipeline = load_steps + [dict(type='CenterShift')] + pack_steps

dataset = dict(
    type='Structured3DDataset',
    data_root=data_root,
    data_prefix=dict(pts='points_normals', pts_instance_mask='instance_mask', pts_semantic_mask='semantic_mask'))
train_dataloader = dict(
    batch_size=12,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeededSampler', shuffle=True),
    dataset=dict(**dataset, ann_file='structured3d_infos_train.pkl', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, ann_file='structured3d_infos_val.pkl', pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader

# Every point of the centimetre grid, and every voxel.
val_evaluator = dict(type='MeanIoUMetric', levels=['vertex', 'voxel'])
test_evaluator = val_evaluator
