# nuScenes keyframes with all that was taken of them: points (x, y, z, strength), six images, which point is seen at
# which pixel, boxes and lidarseg's classes. For methods that bring images and points together.
# Real data or a drawn street, prepared by tools/data/nuscenes.py and tools/data/nuscenes_extras.py;
# PRETRAIN3D_NUSCENES names the folder. Few scenes: --cfg-options train_dataloader.dataset.scenes=5%
# Recipes without labels leave label_steps, and their keys, out. A recipe's data preprocessor takes `image_norm`.
data_root = '{{$PRETRAIN3D_NUSCENES:data/nuscenes}}'
image_size = (224, 416)  # height, width
class_names = [
    'car', 'truck', 'trailer', 'bus', 'construction_vehicle', 'bicycle', 'motorcycle', 'pedestrian', 'traffic_cone',
    'barrier'
]
cameras = ['CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_FRONT_LEFT', 'CAM_BACK', 'CAM_BACK_LEFT', 'CAM_BACK_RIGHT']
# Images are loaded as BGR; ImageNet's statistics are of RGB.
image_norm = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)

load_steps = [
    # x, y, z, intensity of 0 ... 255; the fifth column is the number of the beam.
    dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=5, use_dim=4),
    dict(type='NormalizeStrength', scale=255.),
]
seg_steps = [
    dict(
        type='LoadAnnotationsChecked', with_bbox_3d=False, with_label_3d=False, with_seg_3d=True,
        seg_3d_dtype='np.uint8'),
    dict(type='PointSegClassMapping'),
]
label_steps = [dict(type='LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True)] + seg_steps
# Before the points are moved.
camera_steps = [
    dict(type='AddPointIndex'),
    dict(type='PrepareCameras', names=cameras),
    dict(type='FindPointPixels'),
]
augmentation = [
    dict(type='GlobalRotScaleTrans', rot_range=[-3.141592653589793, 3.141592653589793], scale_ratio_range=[1., 1.]),
    dict(type='RandomFlip3D', sync_2d=False, flip_ratio_bev_horizontal=0.5, flip_ratio_bev_vertical=0.5),
]
# Crops of an image are drawn again until they hold 1024 pairs, or three quarters of the image's. The smallest are a
# little too small to be decoded at half the size: 0.95 below lets them.
crop_steps = [dict(type='DrawImageCrops', area=(0.3, 1.), ratio=(14 / 9, 17 / 9), min_pairs=1024)]
# The cameras follow both augmentations; then pairs are brought in step with what is packed.
image_steps = [
    dict(type='LoadCameraImages', size=image_size, oversampling=0.95),
    dict(type='UpdateCameras'),
    dict(type='AlignPointPixels'),
]
pair_keys = ['points', 'img', 'point_pixels', 'point_pixel_depth']
pack_steps = [
    dict(
        type='PackPretrain3DInputs', keys=pair_keys + ['gt_bboxes_3d', 'gt_labels_3d', 'pts_semantic_mask'],
        domain='nuScenes')
]
train_pipeline = load_steps + label_steps + camera_steps + augmentation + [
    dict(type='ObjectNameFilter', classes=class_names)
] + crop_steps + image_steps + pack_steps
test_pipeline = load_steps + seg_steps + camera_steps + image_steps + [
    dict(type='PackPretrain3DInputs', keys=pair_keys + ['pts_semantic_mask'], domain='nuScenes')
]
# Images and points alone.
pretrain_pipeline = load_steps + camera_steps + augmentation + crop_steps + image_steps + [
    dict(type='PackPretrain3DInputs', keys=pair_keys, domain='nuScenes')
]

dataset = dict(
    type='NuScenesCamerasDataset',
    data_root=data_root,
    # The dataset writes the release of the info file for {version}.
    data_prefix=dict(
        pts='samples/LIDAR_TOP', sweeps='sweeps/LIDAR_TOP', img='', pts_semantic_mask='lidarseg/{version}',
        **{camera: 'samples/' + camera for camera in cameras}))
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeededInfiniteSampler', shuffle=True),
    # use_valid_flag: boxes with LiDAR or radar points.
    dataset=dict(**dataset, ann_file='nuscenes_infos_train.pkl', pipeline=train_pipeline, use_valid_flag=True))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, ann_file='nuscenes_infos_val.pkl', pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader
