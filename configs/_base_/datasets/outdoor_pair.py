# nuScenes and SemanticKITTI together, single sweeps of x, y, z and strength (0 ... 1): one data set a batch, in turns.
# Folders: PRETRAIN3D_NUSCENES, PRETRAIN3D_SEMANTICKITTI, as the base config of each has them. PRETRAIN3D_DOMAINS names
# the data sets of a run and the turns of each, e.g. 'nuScenes=1,SemanticKITTI=1'; the first is the main one. Recipes
# read `ratios`, `label_spaces` and `numbers` (of classes) of this file. outdoor_joint.py builds on it and adds Waymo;
# names of other data sets than these two are passed over here.
ratios = {
    part.split('=')[0]: int(part.split('=')[1])
    for part in '{{$PRETRAIN3D_DOMAINS:nuScenes=1,SemanticKITTI=1}}'.split(',')
}
spaces = dict(nuScenes='nuScenes16', SemanticKITTI='SemanticKITTI19')
label_spaces = {name: spaces[name] for name in ratios if name in spaces}
numbers = dict(nuScenes=16, SemanticKITTI=19)
voxel_size = 0.05

load_steps = dict(
    nuScenes=[
        # x, y, z, intensity of 0 ... 255; the fifth column is the number of the beam.
        dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=5, use_dim=4),
        dict(type='NormalizeStrength', scale=255.),
        dict(
            type='LoadAnnotationsChecked', with_bbox_3d=False, with_label_3d=False, with_seg_3d=True,
            seg_3d_dtype='np.uint8'),
        dict(type='PointSegClassMapping'),
    ],
    SemanticKITTI=[
        dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=4, use_dim=4),
        dict(type='NormalizeStrength', scale=1.),
        dict(
            type='LoadAnnotationsChecked', with_bbox_3d=False, with_label_3d=False, with_seg_3d=True,
            seg_3d_dtype='np.uint32', seg_offset=2**16, dataset_type='semantickitti'),
        dict(type='PointSegClassMapping'),
    ])
# Point Prompt Training brings far points onto this box in training, a constant of each data set.
point_clip_ranges = dict(
    nuScenes=[-35.2, -35.2, -4., 35.2, 35.2, 2.], SemanticKITTI=[-35.2, -35.2, -4., 35.2, 35.2, 2.])
# Its augmentation for outdoor scenes, in its order; the box lies between the two.
turn_steps = [
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3.141592653589793, 3.141592653589793], prob=0.5),
]
augmentation = [
    dict(type='GlobalRotScaleTrans', rot_range=[0, 0], scale_ratio_range=[0.9, 1.1]),
    dict(type='RandomFlipPoints', prob=0.5),
    dict(type='RandomJitterPoints', jitter_std=0.005, clip_range=0.02),
]
pack_steps = {
    name: dict(type='PackPretrain3DInputs', keys=['points', 'pts_semantic_mask'], domain=name)
    for name in spaces
}

datasets = dict(
    nuScenes=dict(
        type='NuScenes16Dataset',
        data_root='{{$PRETRAIN3D_NUSCENES:data/nuscenes}}',
        # The dataset writes the release of the info file for {version}.
        data_prefix=dict(pts='samples/LIDAR_TOP', pts_semantic_mask='lidarseg/{version}')),
    SemanticKITTI=dict(
        type='SemanticKITTI19Dataset', data_root='{{$PRETRAIN3D_SEMANTICKITTI:data/semantickitti}}',
        data_prefix=dict(pts='', pts_semantic_mask='')))
train_splits = dict(
    nuScenes=dict(ann_file='nuscenes_infos_train.pkl'), SemanticKITTI=dict(ann_file='semantickitti_infos_train.pkl'))
val_splits = dict(
    nuScenes=dict(ann_file='nuscenes_infos_val.pkl'), SemanticKITTI=dict(ann_file='semantickitti_infos_val.pkl'))

train_dataloader = dict(
    batch_size=3,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='SeededInfiniteSampler', shuffle=True),
    batch_sampler=dict(type='DomainBatchSampler', ratios=ratios),
    dataset=dict(
        type='mmdet.ConcatDataset',
        datasets=[
            dict(
                **datasets[name],
                **train_splits[name],
                pipeline=load_steps[name] + turn_steps +
                [dict(type='ClipPoints', point_cloud_range=point_clip_ranges[name])] + augmentation +
                [dict(type='GridSamplePoints', voxel_size=voxel_size), pack_steps[name]])
            for name in ratios if name in spaces
        ]))
# The validation sets of all, one after the other.
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmdet.ConcatDataset',
        datasets=[
            dict(
                **datasets[name],
                **val_splits[name],
                pipeline=load_steps[name] + [pack_steps[name]],
                test_mode=True) for name in ratios if name in spaces
        ]))
test_dataloader = val_dataloader

val_evaluator = dict(type='DomainMeanIoUMetric', label_spaces=label_spaces, levels=['vertex', 'voxel'])
test_evaluator = val_evaluator
