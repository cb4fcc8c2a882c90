# nuScenes' boxes on single sweeps of x, y, z and intensity (0 ... 255) within 40 m, for the small detectors on drawn
# streets: the few sweeps of a small world lie too far apart in time to be laid over each other.
# Few labels: PRETRAIN3D_SCENES=12.5% takes 1 of 8 scenes, the last; PRETRAIN3D_SCENE_SEED draws it.
_base_ = ['nuscenes_det.py']
point_cloud_range = [-40.0, -40.0, -5.0, 40.0, 40.0, 3.0]
# In the order of CenterPoint's tasks, by which it numbers the classes.
class_names = [
    'car', 'truck', 'construction_vehicle', 'bus', 'trailer', 'barrier', 'motorcycle', 'bicycle', 'pedestrian',
    'traffic_cone'
]
load_steps = [dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=5, use_dim=4)]
train_pipeline = load_steps + [
    dict(type='LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True),
    dict(
        type='GlobalRotScaleTrans', rot_range=[-0.3925, 0.3925], scale_ratio_range=[0.95, 1.05],
        translation_std=[0, 0, 0]),
    dict(type='RandomFlip3D', sync_2d=False, flip_ratio_bev_horizontal=0.5, flip_ratio_bev_vertical=0.5),
    dict(type='PointsRangeFilter', point_cloud_range=point_cloud_range),
    dict(type='ObjectRangeFilter', point_cloud_range=point_cloud_range),
    dict(type='ObjectNameFilter', classes=class_names),
    dict(type='PointShuffle'),
] + _base_.pack_steps
test_pipeline = load_steps + [
    dict(type='PointsRangeFilter', point_cloud_range=point_cloud_range),
    dict(type='PackPretrain3DInputs', keys=['points'], domain='nuScenes'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    sampler=dict(type='SeededInfiniteSampler'),
    dataset=dict(metainfo=dict(classes=class_names), pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(metainfo=dict(classes=class_names), pipeline=test_pipeline))
test_dataloader = val_dataloader
