# SECOND with the voxel encoder of CenterPoint (voxels of 0.1 m) and its schedule and sampling; few labels as there.
_base_ = [
    '../_base_/models/second_nus.py', '../_base_/datasets/nuscenes_det.py', 'mmdet3d::_base_/schedules/cyclic-20e.py',
    '../_base_/default_runtime.py'
]
train_dataloader = dict(
    dataset=dict(_delete_=True, type='FewLabelsCBGSDataset', dataset=_base_.train_dataloader.dataset))
