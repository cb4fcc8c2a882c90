# PointNet++ as votenet_1xb8-rooms_scannet.py has it, 400 steps: for drawn rooms, ten minutes of a core.
_base_ = ['./spunet_1xb4-p8-rooms_scannet-pairs.py']
model = dict(
    # The pipeline leaves a point in every 4 cm: each is a row of the sparse batch.
    data_preprocessor=dict(voxel_size=0.04, feature_dims=[0, 1, 2]),
    backbone=dict(
        _delete_=True, type='SparsePointNet2', in_channels=4, with_height=True, num_sampled=2048,
        num_points=(512, 256, 128, 64), num_samples=(32, 16, 16, 16)),
    head=dict(in_channels=128))
