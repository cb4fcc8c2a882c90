"""SECOND with the small encoder of drawn streets (../nuscenes), over the whole range, taught one nuScenes keyframe.

Which frame: PRETRAIN3D_INFO, see ../_base_/datasets/keyframe.py.
"""
_base_ = [
    '../_base_/models/second_street.py', '../_base_/datasets/keyframe.py', '../_base_/schedules/keyframe.py',
    '../_base_/default_runtime.py'
]
low, high = _base_.point_cloud_range[:2], _base_.point_cloud_range[3:5]
model = dict(
    data_preprocessor=dict(voxel_layer=dict(point_cloud_range=_base_.point_cloud_range)),
    pts_middle_encoder=dict(sparse_shape=[21, 512, 512]),
    pts_bbox_head=dict(
        anchor_generator=dict(ranges=[[*low, bottom, *high, bottom] for bottom, _ in _base_.anchors])))

# The base's two checks, and a picture of the first frame when it is tested.
custom_hooks = [
    dict(type='ConfigCheckHook'),
    dict(type='InputCheckHook'),
    dict(type='DetectionPictureHook', max_pictures=1, extent=52.0)
]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(window_size=10, by_epoch=False)
