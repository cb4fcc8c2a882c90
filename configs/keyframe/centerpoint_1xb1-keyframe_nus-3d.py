"""mmdet3d's CenterPoint, made small, taught one nuScenes keyframe by heart on a CPU in a few minutes.

Shows that data, operators, training, evaluation and drawing work together; it says nothing about how well anything
generalises. Any mmdet3d v1.1 nuScenes info file: PRETRAIN3D_INFO=/path/to/infos.pkl, with its files beside it or in
nuScenes's own folders under PRETRAIN3D_DATA_ROOT (default: the folder of the info file).
"""
_base_ = ['mmdet3d::_base_/models/centerpoint_voxel01_second_secfpn_nus.py', '../_base_/default_runtime.py']

# Below _base_: mmengine takes a config whose first statement is an import for one of its lazy configs.
import os.path as osp  # noqa: E402
from glob import glob  # noqa: E402

# ---- which frame
info = '{{$PRETRAIN3D_INFO:unset}}'
if info == 'unset':
    found = sorted(glob(osp.join('{{fileDirname}}', '../../../shared/real/nuscenes_frame/*.pkl')))
    # Without a frame the run stops at this name.
    info = found[0] if found else 'set_PRETRAIN3D_INFO_to_an_mmdet3d_v1.1_info_file.pkl'
info = osp.abspath(info)  # mmengine would join a relative one to data_root
data_root = '{{$PRETRAIN3D_DATA_ROOT:unset}}'
if data_root == 'unset':
    data_root = osp.dirname(info)
cameras = ['CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_BACK_LEFT', 'CAM_BACK', 'CAM_BACK_RIGHT']
if osp.isdir(osp.join(data_root, 'samples/LIDAR_TOP')):  # nuScenes's own folders
    data_prefix = dict(pts='samples/LIDAR_TOP', sweeps='sweeps/LIDAR_TOP', **{cam: f'samples/{cam}' for cam in cameras})
else:
    data_prefix = dict(pts='', sweeps='', img='')

# ---- the model: full range, but voxels twice as wide, one stage fewer and half to a quarter of the channels
point_cloud_range = [-51.2, -51.2, -5.0, 51.2, 51.2, 3.0]
voxel_size = [0.2, 0.2, 0.4]
stride = 4
# A few hundred steps: running statistics must follow faster than mmdet3d's 0.01 lets them.
norm_2d = dict(type='BN', eps=1e-3, momentum=0.1)
model = dict(
    data_preprocessor=dict(
        voxel_layer=dict(point_cloud_range=point_cloud_range, voxel_size=voxel_size, max_voxels=(40000, 40000))),
    pts_voxel_encoder=dict(num_features=4),
    pts_middle_encoder=dict(
        in_channels=4,
        sparse_shape=[21, 512, 512],
        output_channels=64,
        norm_cfg=dict(type='BN1d', eps=1e-3, momentum=0.1),
        encoder_channels=((16, 16, 32), (32, 32, 64), (64, 64)),
        encoder_paddings=((0, 0, 1), (0, 0, [0, 1, 1]), (0, 0))),
    pts_backbone=dict(in_channels=128, out_channels=[64, 128], layer_nums=[2, 2], norm_cfg=norm_2d),
    pts_neck=dict(in_channels=[64, 128], out_channels=[64, 64], norm_cfg=norm_2d),
    pts_bbox_head=dict(
        in_channels=128,
        share_conv_channel=32,
        norm_cfg=dict(type='BN2d', momentum=0.1),
        separate_head=dict(head_conv=32, norm_cfg=dict(type='BN2d', momentum=0.1)),
        bbox_coder=dict(pc_range=point_cloud_range[:2], voxel_size=voxel_size[:2], out_size_factor=stride)),
    train_cfg=dict(
        pts=dict(
            point_cloud_range=point_cloud_range, grid_size=[512, 512, 20], voxel_size=voxel_size,
            out_size_factor=stride)),
    test_cfg=dict(
        pts=dict(pc_range=point_cloud_range[:2], voxel_size=voxel_size[:2], out_size_factor=stride)))

# ---- data: no augmentation, no resampling, one sweep; to know the frame by heart is the aim
class_names = [
    'car', 'truck', 'construction_vehicle', 'bus', 'trailer', 'barrier', 'motorcycle', 'bicycle', 'pedestrian',
    'traffic_cone'
]
load_points = dict(type='LoadPointsChecked', coord_type='LIDAR', load_dim=5, use_dim=4)
train_pipeline = [
    load_points,
    dict(type='LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True),
    dict(type='PointsRangeFilter', point_cloud_range=point_cloud_range),
    dict(type='ObjectRangeFilter', point_cloud_range=point_cloud_range),
    dict(type='ObjectNameFilter', classes=class_names),
    dict(type='Pack3DDetInputs', keys=['points', 'gt_bboxes_3d', 'gt_labels_3d'])
]
test_pipeline = [
    load_points,
    dict(type='PointsRangeFilter', point_cloud_range=point_cloud_range),
    dict(type='Pack3DDetInputs', keys=['points'])
]
dataset = dict(
    type='NuScenesDataset',
    data_root=data_root,
    ann_file=info,
    data_prefix=data_prefix,
    # Images are not loaded; this completes their paths for the picture.
    modality=dict(use_lidar=True, use_camera=True),
    metainfo=dict(classes=class_names),
    box_type_3d='LiDAR')
train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(**dataset, pipeline=train_pipeline, test_mode=False))
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, pipeline=test_pipeline, test_mode=True))
test_evaluator = dict(type='NuScenesInfoMetric', ann_file=info, min_points=(1, 5))
test_cfg = dict()

# The base's two checks, and a picture of the first frame when it is tested.
custom_hooks = [
    dict(type='ConfigCheckHook'),
    dict(type='InputCheckHook'),
    dict(type='DetectionPictureHook', max_pictures=1, extent=52.0)
]

# ---- schedule
max_iters = 150
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters + 1)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=35, norm_type=2))
param_scheduler = [dict(type='OneCycleLR', eta_max=3e-3, total_steps=max_iters, pct_start=0.2, by_epoch=False)]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(window_size=10, by_epoch=False)
