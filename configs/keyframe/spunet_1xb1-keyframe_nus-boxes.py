"""The narrow SpUNet of drawn streets (../nuscenes) taught the points of one nuScenes keyframe.

The frame has no lidarseg labels: a point's class is that of the box which holds it, one of the ten of detection; points
in no box are ignored. Which frame: PRETRAIN3D_INFO, see ../_base_/datasets/keyframe.py.
"""
_base_ = [
    '../_base_/models/spunet_street.py', '../_base_/datasets/keyframe.py', '../_base_/schedules/keyframe.py',
    '../_base_/default_runtime.py'
]
num_classes = len(_base_.class_names)
model = dict(
    data_preprocessor=dict(num_classes=num_classes), decode_head=dict(num_classes=num_classes))
train_pipeline = [
    _base_.load_points,
    dict(type='LabelPointsByBoxes', num_classes=num_classes),
    dict(type='NormalizeStrength', scale=255.),
    dict(type='PackPretrain3DInputs', keys=['points', 'pts_semantic_mask'], domain='nuScenes'),
]
test_pipeline = train_pipeline  # in testing, too, the truth comes from the boxes
# No boxes are packed, which mmdet3d would take for a frame without any.
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, filter_empty_gt=False))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_evaluator = dict(_delete_=True, type='MeanIoUMetric', levels=['vertex', 'voxel'])
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(window_size=10, by_epoch=False)
