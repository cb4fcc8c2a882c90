"""mmdet3d's CenterPoint, made small, taught one nuScenes keyframe by heart on a CPU in a few minutes.

Shows that data, operators, training, evaluation and drawing work together; it says nothing about how well anything
generalises. Which frame: PRETRAIN3D_INFO, see ../_base_/datasets/keyframe.py.
"""
_base_ = [
    'mmdet3d::_base_/models/centerpoint_voxel01_second_secfpn_nus.py', '../_base_/datasets/keyframe.py',
    '../_base_/schedules/keyframe.py', '../_base_/default_runtime.py'
]
# Full range, but voxels twice as wide, one stage fewer and half to a quarter of the channels.
point_cloud_range = _base_.point_cloud_range
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

# The base's two checks, and a picture of the first frame when it is tested.
custom_hooks = [
    dict(type='ConfigCheckHook'),
    dict(type='InputCheckHook'),
    dict(type='DetectionPictureHook', max_pictures=1, extent=52.0)
]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(window_size=10, by_epoch=False)
