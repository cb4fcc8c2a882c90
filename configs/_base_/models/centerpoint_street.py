# mmdet3d's CenterPoint (voxel), small enough to learn drawn streets on a CPU in minutes.
_base_ = ['mmdet3d::_base_/models/centerpoint_voxel01_second_secfpn_nus.py', 'voxel_encoder_street.py']
stride = 4
norm_2d = dict(type='BN', eps=1e-3, momentum=0.1)
model = dict(
    data_preprocessor=dict(
        voxel_layer=dict(
            point_cloud_range=_base_.area, voxel_size=_base_.voxel, max_voxels=(40000, 40000))),
    pts_voxel_encoder=dict(num_features=4),
    pts_middle_encoder=dict(_delete_=True, **_base_.encoder),
    pts_backbone=dict(in_channels=128, out_channels=[32, 64], layer_nums=[2, 2], norm_cfg=norm_2d),
    pts_neck=dict(in_channels=[32, 64], out_channels=[32, 32], norm_cfg=norm_2d),
    pts_bbox_head=dict(
        in_channels=64,
        # 36 branches of 3 x 3 convolutions: what a step costs on a CPU.
        share_conv_channel=16,
        norm_cfg=dict(type='BN2d', momentum=0.1),
        separate_head=dict(head_conv=16, norm_cfg=dict(type='BN2d', momentum=0.1)),
        bbox_coder=dict(
            pc_range=_base_.area[:2], voxel_size=_base_.voxel[:2], out_size_factor=stride)),
    train_cfg=dict(
        pts=dict(
            point_cloud_range=_base_.area, grid_size=[400, 400, 20], voxel_size=_base_.voxel,
            out_size_factor=stride)),
    test_cfg=dict(
        pts=dict(
            pc_range=_base_.area[:2], voxel_size=_base_.voxel[:2], out_size_factor=stride)))
