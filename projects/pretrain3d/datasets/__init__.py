"""Datasets' side of pre-training: transforms, packing, samplers, the data preprocessor and checks of the input.

Kept small on purpose: unknown keys pass through packer and preprocessor, so pairs, superpixels and rays live in the
room of their method.
"""
from .cameras import UpdateCameras
from .domain_sampler import DomainBatchSampler
from .info_check import InfoFileError, check_info_file
from .loading import LoadAnnotationsChecked, LoadPointsChecked
from .packing import PackPretrain3DInputs
from .point_index import AddPointIndex
from .preprocessor import Pretrain3DDataPreprocessor
from .samplers import SeededInfiniteSampler, SeededSampler
from . import camera_crops, camera_images, camera_setup, nuscenes_cameras, point_pixels  # noqa: F401  (they register)
from . import (class_balance, lidar_points, nuscenes_det, nuscenes_panoptic, nuscenes_seg, s3dis,  # noqa: F401
               scan_folder, scannet_boxes, scannet_splits, semantickitti, structured3d, sweeps,  # they register
               transforms_indoor, waymo)
from .views import KeepWorldCoordinates, MakeViews

__all__ = [
    'AddPointIndex', 'DomainBatchSampler', 'InfoFileError', 'KeepWorldCoordinates', 'LoadAnnotationsChecked',
    'LoadPointsChecked', 'MakeViews', 'PackPretrain3DInputs', 'Pretrain3DDataPreprocessor', 'SeededInfiniteSampler',
    'SeededSampler', 'UpdateCameras', 'check_info_file'
]
