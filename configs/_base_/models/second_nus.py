# SECOND on nuScenes with the voxel encoder of mmdet3d's CenterPoint.
_base_ = ['second.py', 'voxel_encoder_nus.py']
norm_2d = dict(type='BN', eps=1e-3, momentum=0.01)
model = dict(
    data_preprocessor=dict(
        voxel_layer=dict(point_cloud_range=_base_.area, voxel_size=_base_.voxel, max_voxels=(90000, 120000))),
    pts_voxel_encoder=dict(num_features=5),
    pts_middle_encoder=dict(_delete_=True, **_base_.encoder),
    pts_backbone=dict(in_channels=256, out_channels=[128, 256], layer_nums=[5, 5], norm_cfg=norm_2d),
    pts_neck=dict(in_channels=[128, 256], out_channels=[256, 256], norm_cfg=norm_2d),
    pts_bbox_head=dict(
        in_channels=512,
        feat_channels=512,
        anchor_generator=dict(
            ranges=[[*_base_.area[:2], bottom, *_base_.area[3:5], bottom] for bottom, _ in _base_.anchors])))
