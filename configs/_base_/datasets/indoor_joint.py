# Structured3D, ScanNet and S3DIS together, at 2 cm with colours and normals: one data set a batch, in turns.
# Folders: PRETRAIN3D_STRUCTURED3D, PRETRAIN3D_SCANNET, PRETRAIN3D_S3DIS, as the base config of each has them.
# PRETRAIN3D_DOMAINS names the data sets of a run and the turns of each, e.g. 'Structured3D=4,ScanNet=2'; the first is
# the main one. Recipes read `ratios`, `label_spaces` and `numbers` (of classes) of this file.
ratios = {
    part.split('=')[0]: int(part.split('=')[1])
    for part in '{{$PRETRAIN3D_DOMAINS:Structured3D=4,ScanNet=2,S3DIS=1}}'.split(',')
}
spaces = dict(Structured3D='Structured3D25', ScanNet='ScanNet20', S3DIS='S3DIS13')
assert set(ratios) <= set(spaces), f'PRETRAIN3D_DOMAINS names {set(ratios) - set(spaces)}: choose from {list(spaces)}'
label_spaces = {name: spaces[name] for name in ratios}
numbers = dict(Structured3D=25, ScanNet=20, S3DIS=13)
voxel_size = 0.02

load_steps = [
    dict(type='LoadPointsChecked', coord_type='DEPTH', load_dim=9, use_dim=9),
    dict(type='NamePointColumns', color=[3, 4, 5], normal=[6, 7, 8]),
    dict(
        type='LoadAnnotationsChecked', with_bbox_3d=False, with_label_3d=False, with_mask_3d=True, with_seg_3d=True),
    dict(type='PointSegClassMapping'),
]
colour_step = dict(type='NormalizePointsColor', color_mean=None)
# Point Prompt Training's augmentation for indoor scenes, in its order; crops differ by data set.
augmentation = [
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
]
crops = dict(
    Structured3D=dict(type='SphereCrop', fraction=0.8),
    ScanNet=dict(type='SphereCrop', max_points=100000),
    S3DIS=dict(type='SphereCrop', fraction=0.6))
pack_steps = {
    name: dict(type='PackPretrain3DInputs', keys=['points', 'pts_semantic_mask'], domain=name)
    for name in spaces
}

data_prefix = dict(pts='points_normals', pts_instance_mask='instance_mask', pts_semantic_mask='semantic_mask')
datasets = dict(
    Structured3D=dict(
        type='Structured3DDataset', data_root='{{$PRETRAIN3D_STRUCTURED3D:data/structured3d}}',
        data_prefix=data_prefix),
    ScanNet=dict(
        type='ScanNet20Dataset', data_root='{{$PRETRAIN3D_SCANNET:data/scannet}}', data_prefix=data_prefix),
    S3DIS=dict(type='S3DIS13Dataset', data_root='{{$PRETRAIN3D_S3DIS:data/s3dis}}', data_prefix=data_prefix))
# Another fold of S3DIS: PRETRAIN3D_S3DIS_AREA names the area that is kept for testing.
test_area = int('{{$PRETRAIN3D_S3DIS_AREA:5}}')
train_splits = dict(
    Structured3D=dict(ann_file='structured3d_infos_train.pkl'),
    ScanNet=dict(ann_file='scannet_infos_train.pkl'),
    S3DIS=dict(areas=[area for area in range(1, 7) if area != test_area]))
val_splits = dict(
    Structured3D=dict(ann_file='structured3d_infos_val.pkl'),
    ScanNet=dict(ann_file='scannet_infos_val.pkl'),
    S3DIS=dict(areas=[test_area]))

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
                # The last shift is in whole voxels: the data preprocessor then finds one point in each voxel.
                pipeline=load_steps + augmentation +
                [crops[name], dict(type='CenterShift', axes='xy', step=voxel_size), colour_step, pack_steps[name]])
            for name in ratios
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
                pipeline=load_steps + [dict(type='CenterShift'), colour_step, pack_steps[name]],
                test_mode=True) for name in ratios
        ]))
test_dataloader = val_dataloader

val_evaluator = dict(type='DomainMeanIoUMetric', label_spaces=label_spaces, levels=['vertex', 'voxel'])
test_evaluator = val_evaluator
