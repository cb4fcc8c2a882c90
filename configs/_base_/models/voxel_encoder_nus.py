# The voxel encoder of mmdet3d's nuScenes CenterPoint with voxels of 0.1 m (2.7 M parameters), word for word, and the
# grid of its detector: `area` x0, y0, z0, x1, y1, z1 and `voxel`, metres.
area = [-51.2, -51.2, -5.0, 51.2, 51.2, 3.0]
voxel = [0.1, 0.1, 0.2]
encoder = dict(
    type='SparseEncoder',
    in_channels=5,
    sparse_shape=[41, 1024, 1024],
    output_channels=128,
    order=('conv', 'norm', 'act'),
    encoder_channels=((16, 16, 32), (32, 32, 64), (64, 64, 128), (128, 128)),
    encoder_paddings=((0, 0, 1), (0, 0, 1), (0, 0, [0, 1, 1]), (0, 0)),
    block_type='basicblock')
