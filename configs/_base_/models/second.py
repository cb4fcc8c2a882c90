# SECOND on nuScenes, which mmdet3d has on KITTI and Waymo only: the layers above the voxel encoder of its nuScenes
# CenterPoint, so that one pre-trained encoder serves both, and the anchors, losses and suppression of its nuScenes
# PointPillars. Grid and widths: second_nus.py, second_street.py.
_base_ = ['mmdet3d::_base_/models/pointpillars_hv_fpn_nus.py']
# Heights of the bottoms and sizes as in mmdet3d's pointpillars_hv_secfpn_sbn-all_8xb4-2x_nus-3d.py.
anchors = [
    (-1.80032795, [4.60718145, 1.95017717, 1.72270761]),  # car
    (-1.74440365, [6.73778078, 2.4560939, 2.73004906]),  # truck
    (-1.68526504, [12.01320693, 2.87427237, 3.81509561]),  # trailer
    (-1.67339111, [1.68452161, 0.60058911, 1.27192197]),  # bicycle
    (-1.61785072, [0.7256437, 0.66344886, 1.75748069]),  # pedestrian
    (-1.80984986, [0.40359262, 0.39694519, 1.06232151]),  # traffic cone
    (-1.763965, [0.48578221, 2.49008838, 0.98297065]),  # barrier
]
model = dict(
    data_preprocessor=dict(voxel_layer=dict(max_num_points=10)),
    pts_voxel_encoder=dict(_delete_=True, type='HardSimpleVFE'),
    pts_backbone=dict(layer_strides=[1, 2]),
    pts_neck=dict(_delete_=True, type='SECONDFPN', upsample_strides=[1, 2], use_conv_for_no_stride=True),
    pts_bbox_head=dict(anchor_generator=dict(scales=[1], sizes=[size for _, size in anchors])))
