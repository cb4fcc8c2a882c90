"""mmdet3d's stock configs of five models, their named reductions, and one batch for each of them."""
import os
import pickle
from dataclasses import dataclass
from typing import List

import mmcv
import numpy as np
import torch
from mmdet.models.backbones.resnet import Bottleneck
from mmdet3d.registry import MODELS
from mmdet3d.structures import CameraInstance3DBoxes, Det3DDataSample, LiDARInstance3DBoxes, PointData
from mmengine.config import ConfigDict
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

CONFIGS = dict(
    centerpoint='centerpoint/centerpoint_voxel01_second_secfpn_8xb4-cyclic-20e_nus-3d.py',
    second='second/second_hv_secfpn_8xb6-80e_kitti-3d-3class.py',
    pointpillars='pointpillars/pointpillars_hv_secfpn_8xb6-160e_kitti-3d-3class.py',
    minkunet='minkunet/minkunet34_w32_spconv_8xb2-laser-polar-mix-3x_semantickitti.py',
    fcos3d='fcos3d/fcos3d_r101-caffe-dcn_fpn_head-gn_8xb2-1x_nus-mono3d.py')
REAL = os.path.join(os.path.dirname(__file__), *['..'] * 3, 'shared', 'real', 'nuscenes_frame')
# KITTI's three classes in the order of the stock configs, by nuScenes index of the info file
KITTI = {7: 0, 5: 1, 0: 2}


@dataclass
class Scene:
    """One LiDAR sweep and one camera image of it.

    ``points`` (N, 5) x, y, z in metres, intensity 0-255, ring; ``boxes`` (M, 9) centre, length, width, height, yaw,
    velocity in the LiDAR frame; ``labels`` (M,) nuScenes classes of the info file; ``image`` (H, W, 3) BGR uint8;
    ``cam2img`` (3, 3); ``cam`` the camera's instances in the format of mmdet3d's info files.
    """
    points: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    image: np.ndarray
    cam2img: np.ndarray
    cam: List[dict]


def real_scene(folder: str = REAL) -> Scene:
    """Read the nuScenes keyframe with its front camera."""
    info_path = next(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith('.pkl'))
    with open(info_path, 'rb') as file:
        info = pickle.load(file)['data_list'][0]
    points = np.fromfile(os.path.join(folder, info['lidar_points']['lidar_path']), np.float32).reshape(-1, 5)
    seen = [item for item in info['instances'] if item['bbox_3d_isvalid'] and item['bbox_label_3d'] >= 0]
    boxes = np.array([item['bbox_3d'] + item['velocity'] for item in seen], np.float32)
    camera = info['images']['CAM_FRONT']
    return Scene(points, np.nan_to_num(boxes), np.array([item['bbox_label_3d'] for item in seen]),
                 mmcv.imread(os.path.join(folder, camera['img_path'])), np.array(camera['cam2img'], np.float32),
                 [item for item in info['cam_instances']['CAM_FRONT'] if item['bbox_label_3d'] >= 0])


def drawn_scene(seed: int = 0) -> Scene:
    """Draw a ground plane with vehicles, people and barriers on it, and a noise image that they project into."""
    rng = np.random.default_rng(seed)
    sizes = {0: (4.0, 1.7, 1.6), 1: (7.0, 2.5, 2.8), 3: (11.0, 2.9, 3.4), 5: (1.8, 0.6, 1.4), 7: (0.7, 0.6, 1.7),
             9: (0.5, 2.5, 1.0)}
    labels = np.tile(list(sizes), 4)
    boxes = np.zeros((len(labels), 9), np.float32)
    boxes[:, :2] = rng.uniform((4, -15), (25, 15), (len(labels), 2))
    boxes[:, 3:6] = [sizes[label] for label in labels]
    boxes[:, 2] = boxes[:, 5] / 2 - 1.7
    boxes[:, 6] = rng.uniform(-3, 3, len(labels))
    ground = np.concatenate([rng.uniform(-40, 40, (12000, 2)), rng.normal(-1.7, 0.02, (12000, 1))], 1)
    inside = (boxes[:, None, :3] + rng.uniform(-0.3, 0.3, (len(labels), 60, 3)) * boxes[:, None, 3:6]).reshape(-1, 3)
    xyz = np.concatenate([ground, inside])
    points = np.concatenate([xyz, rng.uniform(0, 255, (len(xyz), 1)), np.zeros((len(xyz), 1))], 1).astype(np.float32)
    cam2img = np.array([[1266., 0, 800], [0, 1266, 450], [0, 0, 1]], np.float32)
    cam = []
    for label, (x, y, z, length, width, height, yaw) in zip(labels, boxes[:, :7]):
        centre = np.array([-y, -z, x])  # camera: x right, y down, z ahead
        u, v, _ = cam2img @ centre / centre[2]
        half = 1266 / centre[2] * np.array([length, height]) / 2
        bbox = [u - half[0], v - half[1], u + half[0], v + half[1]]
        cam.append(dict(bbox_label=label, bbox_label_3d=label, bbox=bbox,
                        bbox_3d=[*centre, length, height, width, yaw], velocity=[0.5, 0.], center_2d=[u, v],
                        depth=centre[2], attr_label=0))
    return Scene(points, boxes, labels, rng.integers(0, 255, (900, 1600, 3), dtype=np.uint8), cam2img, cam)


def _narrow_second(backbone: dict, neck: dict, widths: List[int], up: int) -> int:
    """Make SECOND and its neck one layer deep per stage; return the channels that the head reads."""
    backbone.update(layer_nums=[1] * len(widths), out_channels=widths)
    neck.update(in_channels=widths, out_channels=[up] * len(widths))
    return up * len(widths)


def reduce_centerpoint(model: dict) -> None:
    """Half the range at twice the voxel size: a grid of 256 x 256 instead of 1024 x 1024, narrow BEV layers."""
    area, voxel, grid = [-25.6, -25.6, -5.0, 25.6, 25.6, 3.0], [0.2, 0.2, 0.2], [256, 256, 40]
    model.data_preprocessor.voxel_layer.update(point_cloud_range=area, voxel_size=voxel)
    model.pts_middle_encoder.sparse_shape = [41, 256, 256]
    channels = _narrow_second(model.pts_backbone, model.pts_neck, [32, 32], 32)
    model.pts_bbox_head.update(in_channels=channels, share_conv_channel=16)
    model.pts_bbox_head.bbox_coder.update(pc_range=area[:2], voxel_size=voxel[:2])
    model.train_cfg.pts.update(point_cloud_range=area, grid_size=grid, voxel_size=voxel)
    model.test_cfg.pts.update(pc_range=area[:2], voxel_size=voxel[:2])


def _reduce_anchors(model: dict, area: List[float], channels: int) -> None:
    model.bbox_head.update(in_channels=channels, feat_channels=channels)
    for row in model.bbox_head.anchor_generator.ranges:
        row[:2], row[3:5] = area[:2], area[3:5]


def reduce_second(model: dict) -> None:
    """A quarter of the range at twice the voxel size: 176 x 192 cells instead of 1408 x 1600, narrow BEV layers."""
    area = [0, -9.6, -3, 17.6, 9.6, 1]
    model.data_preprocessor.voxel_layer.update(point_cloud_range=area, voxel_size=[0.1, 0.1, 0.1])
    model.middle_encoder.sparse_shape = [41, 192, 176]
    _reduce_anchors(model, area, _narrow_second(model.backbone, model.neck, [32, 32], 32))


def reduce_pointpillars(model: dict) -> None:
    """A quarter of the range with stock pillars: 112 x 128 cells instead of 432 x 496, narrow BEV layers."""
    area = [0, -10.24, -3, 17.92, 10.24, 1]
    model.data_preprocessor.voxel_layer.point_cloud_range = area
    model.voxel_encoder.point_cloud_range = area
    model.middle_encoder.output_shape = [128, 112]
    _reduce_anchors(model, area, _narrow_second(model.backbone, model.neck, [32, 32, 32], 32))


def reduce_minkunet(model: dict) -> None:
    """Quarter widths, one block per stage, voxels of 20 x 20 x 5 cm."""
    model.data_preprocessor.voxel_layer.voxel_size = [0.2, 0.2, 0.05]
    model.backbone.update(base_channels=8, encoder_channels=[8, 16, 32, 64], decoder_channels=[64, 32, 24, 24],
                          encoder_blocks=[1] * 4, decoder_blocks=[1] * 4)
    model.decode_head.channels = 24


def reduce_fcos3d(model: dict) -> None:
    """ResNet-50 with deformable layers in the last stage only, a head a quarter as wide."""
    model.backbone.update(depth=50, stage_with_dcn=(False, False, False, True))
    model.neck.out_channels = 64
    model.bbox_head.update(in_channels=64, feat_channels=64, cls_branch=(64, ), dir_branch=(64, ), attr_branch=(64, ),
                           reg_branch=((64, ), (64, ), (64, ), (64, ), ()))


REDUCTIONS = dict(centerpoint=reduce_centerpoint, second=reduce_second, pointpillars=reduce_pointpillars,
                  minkunet=reduce_minkunet, fcos3d=reduce_fcos3d)


def stock_config(name: str, reduced: bool) -> ConfigDict:
    """Return mmdet3d's own config of a model, without weights from the network, through its reduction if wanted.

    The score thresholds fall to zero, so that an untrained head predicts boxes and its suppression runs, on the best
    hundred candidates of each level.
    """
    cfg = get_config(f'mmdet3d::{CONFIGS[name]}')
    if name == 'fcos3d':
        cfg.model.backbone.init_cfg = None
    if reduced:
        REDUCTIONS[name](cfg.model)
    if name == 'centerpoint':
        cfg.model.test_cfg.pts.score_threshold = cfg.model.pts_bbox_head.bbox_coder.score_threshold = 0.0
    elif name != 'minkunet':
        cfg.model.test_cfg.update(score_thr=0.0, nms_pre=100)
    return cfg


def build(cfg: ConfigDict, seed: int = 0) -> torch.nn.Module:
    """Build a config's model with seeded weights."""
    init_default_scope('mmdet3d')
    torch.manual_seed(seed)
    np.random.seed(seed)
    model = MODELS.build(cfg.model)
    model.init_weights()
    for block in model.modules():
        if isinstance(block, Bottleneck):  # born as the identity, which lets no gradient into its convolutions
            torch.nn.init.constant_(block.norm3.weight, 0.1)
    return model


def _lidar_sample(scene: Scene, kept: np.ndarray, labels: np.ndarray, columns: int) -> Det3DDataSample:
    sample = Det3DDataSample(metainfo=dict(box_type_3d=LiDARInstance3DBoxes))
    boxes = LiDARInstance3DBoxes(scene.boxes[kept, :columns], box_dim=columns, origin=(0.5, 0.5, 0.5))
    sample.gt_instances_3d = InstanceData(bboxes_3d=boxes, labels_3d=torch.from_numpy(labels).long())
    return sample


def _camera_batch(scene: Scene, scale: float) -> dict:
    image = mmcv.imrescale(scene.image, scale)
    cam2img = np.diag([scale, scale, 1]) @ scene.cam2img
    sample = Det3DDataSample(metainfo=dict(cam2img=cam2img.tolist(), box_type_3d=CameraInstance3DBoxes,
                                           img_shape=image.shape[:2], scale_factor=(1.0, 1.0)))
    column = {key: np.array([item[key] for item in scene.cam], np.float32)
              for key in ('bbox', 'bbox_3d', 'velocity', 'center_2d', 'depth', 'bbox_label', 'attr_label')}
    boxes = np.nan_to_num(np.concatenate([column['bbox_3d'], column['velocity']], 1))
    label = torch.from_numpy(column['bbox_label']).long()
    sample.gt_instances_3d = InstanceData(
        bboxes_3d=CameraInstance3DBoxes(boxes, box_dim=9, origin=(0.5, 0.5, 0.5)), labels_3d=label,
        centers_2d=torch.from_numpy(column['center_2d'] * scale), depths=torch.from_numpy(column['depth']),
        attr_labels=torch.from_numpy(column['attr_label']).long())
    sample.gt_instances = InstanceData(bboxes=torch.from_numpy(column['bbox'] * scale), labels=label)
    return dict(inputs=dict(img=[torch.from_numpy(image).permute(2, 0, 1).contiguous()]), data_samples=[sample])


def batch(name: str, scene: Scene, reduced: bool) -> dict:
    """Return what a data loader would hand to the model: the scene as a batch of one."""
    if name == 'fcos3d':
        return _camera_batch(scene, 0.2 if reduced else 1.0)
    if name == 'centerpoint':
        order = np.array([0, 1, 4, 3, 2, 7, 6, 8, 9, 5])  # index in the info file -> index in CenterPoint's tasks
        return dict(inputs=dict(points=[torch.from_numpy(scene.points)]),
                    data_samples=[_lidar_sample(scene, np.arange(len(scene.labels)), order[scene.labels], 9)])
    points = torch.from_numpy(scene.points[:, :4] / np.array([1, 1, 1, 255], np.float32))
    if name == 'minkunet':
        sample = Det3DDataSample()
        boxes = LiDARInstance3DBoxes(scene.boxes[:, :7], origin=(0.5, 0.5, 0.5))
        owner = boxes.points_in_boxes_part(points[:, :3])
        mask = torch.where(owner >= 0, torch.from_numpy(scene.labels)[owner.clamp(min=0).long()], 19)
        sample.gt_pts_seg = PointData(pts_semantic_mask=mask)
        return dict(inputs=dict(points=[points]), data_samples=[sample])
    kept = np.flatnonzero(np.isin(scene.labels, list(KITTI)))
    labels = np.array([KITTI[label] for label in scene.labels[kept]])
    return dict(inputs=dict(points=[points]), data_samples=[_lidar_sample(scene, kept, labels, 7)])
