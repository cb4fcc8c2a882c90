# One nuScenes keyframe (../../keyframe), to be learnt by heart: trained and tested on, without augmentation.
# Any mmdet3d v1.1 nuScenes info file: PRETRAIN3D_INFO=/path/to/infos.pkl, with its files beside it or in nuScenes's
# own folders under PRETRAIN3D_DATA_ROOT (default: the folder of the info file).
_base_ = []

# Below _base_: mmengine takes a config whose first statement is an import for one of its lazy configs.
import os.path as osp  # noqa: E402
from glob import glob  # noqa: E402

info = '{{$PRETRAIN3D_INFO:unset}}'
if info == 'unset':
    found = sorted(glob(osp.join('{{fileDirname}}', '../../../../shared/real/nuscenes_frame/*.pkl')))
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

point_cloud_range = [-51.2, -51.2, -5.0, 51.2, 51.2, 3.0]
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
