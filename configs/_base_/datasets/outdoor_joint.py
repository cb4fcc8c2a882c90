# nuScenes, SemanticKITTI and Waymo together, single sweeps of x, y, z and strength (0 ... 1): one data set a batch, in
# turns. PRETRAIN3D_DOMAINS names the data sets of a run and the turns of each, e.g. 'nuScenes=1,SemanticKITTI=1' for
# two of them; the first is the main one. Waymo's folder: PRETRAIN3D_WAYMO. Recipes read `ratios`, `label_spaces` and
# `numbers` (of classes).
_base_ = ['./outdoor_pair.py']
ratios = {
    part.split('=')[0]: int(part.split('=')[1])
    for part in '{{$PRETRAIN3D_DOMAINS:nuScenes=1,SemanticKITTI=1,Waymo=1}}'.split(',')
}
spaces = dict(**_base_.spaces, Waymo='Waymo22')
assert set(ratios) <= set(spaces), f'PRETRAIN3D_DOMAINS names {set(ratios) - set(spaces)}: choose from {list(spaces)}'
label_spaces = {name: spaces[name] for name in ratios}
numbers = dict(**_base_.numbers, Waymo=22)

load_steps = dict(
    **_base_.load_steps,
    Waymo=[
        # x, y, z in the vehicle frame, intensity (no largest value), elongation.
        dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=5, use_dim=4),
        dict(type='NormalizeStrength', scale=1., tanh=True),
        dict(
            type='LoadAnnotationsChecked', with_bbox_3d=False, with_label_3d=False, with_seg_3d=True,
            seg_3d_dtype='np.uint8'),
        dict(type='PointSegClassMapping'),
    ])
# Its origin is on the road, not at the sensor: waymo_seg.py says more.
point_clip_ranges = dict(**_base_.point_clip_ranges, Waymo=[-75.2, -75.2, -2., 75.2, 75.2, 4.])
pack_steps = dict(
    **_base_.pack_steps,
    Waymo=dict(type='PackPretrain3DInputs', keys=['points', 'pts_semantic_mask'], domain='Waymo'))
datasets = dict(
    **_base_.datasets,
    Waymo=dict(
        type='Waymo22Dataset', data_root='{{$PRETRAIN3D_WAYMO:data/waymo}}',
        data_prefix=dict(pts='', pts_semantic_mask='')))
train_splits = dict(**_base_.train_splits, Waymo=dict(ann_file='waymo_infos_train.pkl'))
val_splits = dict(**_base_.val_splits, Waymo=dict(ann_file='waymo_infos_val.pkl'))

train_dataloader = dict(
    batch_sampler=dict(ratios=ratios),
    dataset=dict(
        datasets=[
            dict(
                **datasets[name],
                **train_splits[name],
                pipeline=load_steps[name] + _base_.turn_steps +
                [dict(type='ClipPoints', point_cloud_range=point_clip_ranges[name])] + _base_.augmentation +
                [dict(type='GridSamplePoints', voxel_size=_base_.voxel_size), pack_steps[name]]) for name in ratios
        ]))
val_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                **datasets[name],
                **val_splits[name],
                pipeline=load_steps[name] + [pack_steps[name]],
                test_mode=True) for name in ratios
        ]))
test_dataloader = val_dataloader

val_evaluator = dict(label_spaces=label_spaces)
test_evaluator = val_evaluator
