# The voxel encoder of the detectors that train on drawn streets on a CPU (../../nuscenes): voxels of 0.2 x 0.2 x 0.4 m
# within 40 m, one stage fewer than that of mmdet3d's nuScenes CenterPoint and half its channels. It reads single
# sweeps, of which mmdet3d's fifth column, the time, would be 0 everywhere: four columns.
area = [-40.0, -40.0, -5.0, 40.0, 40.0, 3.0]
voxel = [0.2, 0.2, 0.4]
encoder = dict(
    type='SparseEncoder',
    in_channels=4,
    sparse_shape=[21, 400, 400],
    output_channels=64,
    order=('conv', 'norm', 'act'),
    # A few hundred steps: running statistics must follow faster than mmdet3d's 0.01 lets them.
    norm_cfg=dict(type='BN1d', eps=1e-3, momentum=0.1),
    encoder_channels=((16, 16, 32), (32, 32, 64), (64, 64)),
    encoder_paddings=((0, 0, 1), (0, 0, [0, 1, 1]), (0, 0)),
    block_type='basicblock')
