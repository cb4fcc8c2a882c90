# SECOND, small enough to learn drawn streets on a CPU in minutes.
_base_ = ['second.py', 'voxel_encoder_street.py']
norm_2d = dict(type='BN', eps=1e-3, momentum=0.1)
model = dict(
    data_preprocessor=dict(
        voxel_layer=dict(point_cloud_range=_base_.area, voxel_size=_base_.voxel, max_voxels=(40000, 40000))),
    pts_voxel_encoder=dict(num_features=4),
    pts_middle_encoder=dict(_delete_=True, **_base_.encoder),
    pts_backbone=dict(in_channels=128, out_channels=[32, 64], layer_nums=[2, 2], norm_cfg=norm_2d),
    pts_neck=dict(in_channels=[32, 64], out_channels=[32, 32], norm_cfg=norm_2d),
    pts_bbox_head=dict(
        in_channels=64,
        feat_channels=64,
        anchor_generator=dict(
            ranges=[[*_base_.area[:2], bottom, *_base_.area[3:5], bottom] for bottom, _ in _base_.anchors])),
    # After few steps scores are low.
    test_cfg=dict(pts=dict(score_thr=0.005, nms_pre=300)))
