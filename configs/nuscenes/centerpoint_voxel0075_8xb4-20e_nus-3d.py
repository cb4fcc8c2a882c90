# CenterPoint with voxels of 0.075 m within 54 m; see centerpoint_voxel01_8xb4-20e_nus-3d.py.
_base_ = ['centerpoint_voxel01_8xb4-20e_nus-3d.py']
area = [-54., -54., -5., 54., 54., 3.]
voxel = [0.075, 0.075, 0.2]
model = dict(
    data_preprocessor=dict(voxel_layer=dict(voxel_size=voxel, point_cloud_range=area)),
    pts_middle_encoder=dict(sparse_shape=[41, 1440, 1440]),
    pts_bbox_head=dict(bbox_coder=dict(voxel_size=voxel[:2], pc_range=area[:2])),
    train_cfg=dict(pts=dict(grid_size=[1440, 1440, 40], voxel_size=voxel, point_cloud_range=area)),
    test_cfg=dict(pts=dict(voxel_size=voxel[:2], pc_range=area[:2])))
train_pipeline = [
    dict(step, point_cloud_range=area) if 'point_cloud_range' in step else step for step in _base_.train_pipeline
]
test_pipeline = [
    dict(step, point_cloud_range=area) if 'point_cloud_range' in step else step for step in _base_.test_pipeline
]
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
