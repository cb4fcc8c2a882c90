# nuScenes' ten classes of boxes on ten LiDAR sweeps: x, y, z, intensity, seconds since the sweep (mmdet3d's columns).
# Real data or a drawn street, prepared by tools/data/nuscenes.py (and tools/data/nuscenes_extras.py for scenes=...);
# PRETRAIN3D_NUSCENES names the folder. The release (v1.0-mini, v1.0-trainval) is the one of the info files.
# Few labels: PRETRAIN3D_SCENES=5% (whole scenes, every 20th), PRETRAIN3D_SCENE_SEED=1 to draw them; --cfg-options
# train_dataloader.dataset.frames=5% takes every 20th keyframe of all scenes instead. Recipes with class-balanced
# sampling wrap the data set: there the options are train_dataloader.dataset.dataset.scenes, .scene_seed, .frames.
data_root = '{{$PRETRAIN3D_NUSCENES:data/nuscenes}}'
point_cloud_range = [-51.2, -51.2, -5., 51.2, 51.2, 3.]
# mmdet3d's order, which the info files have too. CenterPoint numbers classes in the order of its tasks: its recipes
# say so by metainfo.classes.
class_names = [
    'car', 'truck', 'trailer', 'bus', 'construction_vehicle', 'bicycle', 'motorcycle', 'pedestrian', 'traffic_cone',
    'barrier'
]
data_prefix = dict(
    pts='samples/LIDAR_TOP', sweeps='sweeps/LIDAR_TOP', img='',
    CAM_FRONT='samples/CAM_FRONT', CAM_FRONT_LEFT='samples/CAM_FRONT_LEFT', CAM_FRONT_RIGHT='samples/CAM_FRONT_RIGHT',
    CAM_BACK='samples/CAM_BACK', CAM_BACK_LEFT='samples/CAM_BACK_LEFT', CAM_BACK_RIGHT='samples/CAM_BACK_RIGHT')

load_steps = [
    dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=5, use_dim=5),
    # Of up to nine of ten earlier sweeps, as many as there are.
    dict(
        type='LoadSweepsChecked', sweeps_num=9, use_dim=[0, 1, 2, 3, 4], pad_empty_sweeps=True,
        remove_close=True),
]
test_load_steps = [load_steps[0], dict(**load_steps[1], test_mode=True)]
pack_steps = [
    dict(type='PackPretrain3DInputs', keys=['points', 'gt_bboxes_3d', 'gt_labels_3d'], domain='nuScenes')
]
# mmdet3d's augmentation for CenterPoint.
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
] + pack_steps
test_pipeline = test_load_steps + [
    dict(type='PointsRangeFilter', point_cloud_range=point_cloud_range),
    dict(type='PackPretrain3DInputs', keys=['points'], domain='nuScenes'),
]

dataset = dict(
    type='NuScenesDet10Dataset',
    data_root=data_root,
    data_prefix=data_prefix,
    metainfo=dict(classes=class_names),
    modality=dict(use_lidar=True, use_camera=False),
    box_type_3d='LiDAR')
scenes = '{{$PRETRAIN3D_SCENES:all}}'
scene_seed = '{{$PRETRAIN3D_SCENE_SEED:none}}'
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeededSampler', shuffle=True),
    # use_valid_flag: boxes with LiDAR or radar points.
    dataset=dict(
        **dataset,
        ann_file='nuscenes_infos_train.pkl',
        pipeline=train_pipeline,
        use_valid_flag=True,
        scenes=None if scenes == 'all' else scenes,
        scene_seed=None if scene_seed == 'none' else int(scene_seed)))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, ann_file='nuscenes_infos_val.pkl', pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader

# The devkit's tables are read from the release that the info files name.
val_evaluator = dict(
    type='NuScenesDevkitMetric', data_root=data_root, ann_file=data_root + '/nuscenes_infos_val.pkl', metric='bbox')
test_evaluator = val_evaluator
