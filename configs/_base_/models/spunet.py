# SpUNet (39.2 M) segmenting ScanNet's 20 classes at 2 cm.
# Points hold x, y, z, r, g, b and the normal nx, ny, nz; colours in [0, 1] (NormalizePointsColor(color_mean=None)).
# Without normals: feature_dims=[3, 4, 5] and in_channels=3.
model = dict(
    type='VoxelSegmentor',
    data_preprocessor=dict(
        type='Pretrain3DDataPreprocessor',
        voxel_size=0.02,
        reduce='random',
        feature_dims=[3, 4, 5, 6, 7, 8],
        num_classes=20),
    backbone=dict(type='SpUNet', in_channels=6),
    decode_head=dict(type='SegmentationHead', in_channels=96, num_classes=20))
