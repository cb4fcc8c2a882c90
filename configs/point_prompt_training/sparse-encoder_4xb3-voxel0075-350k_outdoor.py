# The same for CenterPoint with voxels of 0.075 m within 54 m.
_base_ = ['sparse-encoder_4xb3-voxel01-350k_outdoor.py']
model = dict(
    data_preprocessor=dict(voxel_size=[0.075, 0.075, 0.2], point_cloud_range=[-54., -54., -5., 54., 54., 3.]),
    backbone=dict(backbone=dict(encoder=dict(sparse_shape=[41, 1440, 1440]))))
