# mmdet3d's CenterPoint with voxels of 0.1 m, its schedule and its class-balanced sampling. No objects are pasted into
# the scenes: the database they come from holds boxes of scenes whose labels a run on few of them must not see. Few
# labels: PRETRAIN3D_SCENES=5% (10%, 20%: 35, 70, 140 of the 700 scenes) trains on whole scenes, every 20th.
# PRETRAIN3D_SCENE_SEED draws them instead.
_base_ = [
    'mmdet3d::_base_/models/centerpoint_voxel01_second_secfpn_nus.py', '../_base_/datasets/nuscenes_det.py',
    'mmdet3d::_base_/schedules/cyclic-20e.py', '../_base_/default_runtime.py'
]
# In the order of CenterPoint's tasks, by which it numbers the classes.
class_names = [
    'car', 'truck', 'construction_vehicle', 'bus', 'trailer', 'barrier', 'motorcycle', 'bicycle', 'pedestrian',
    'traffic_cone'
]
area = _base_.point_cloud_range
model = dict(
    data_preprocessor=dict(voxel_layer=dict(point_cloud_range=area)),
    pts_bbox_head=dict(bbox_coder=dict(pc_range=area[:2])),
    train_cfg=dict(pts=dict(point_cloud_range=area)),
    test_cfg=dict(pts=dict(pc_range=area[:2])))
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='FewLabelsCBGSDataset',
        dataset={
            **_base_.train_dataloader.dataset, 'metainfo': dict(classes=class_names)
        }))
val_dataloader = dict(dataset=dict(metainfo=dict(classes=class_names)))
test_dataloader = val_dataloader
