# mmdet3d's MinkUNet (37.9 M with these depths) segmenting ScanNet's 20 classes at 2 cm.
# Points hold x, y, z, r, g, b; colours in [0, 1] (NormalizePointsColor(color_mean=None)).
model = dict(
    type='VoxelSegmentor',
    data_preprocessor=dict(
        type='Pretrain3DDataPreprocessor',
        voxel_size=0.02,
        reduce='random',
        feature_dims=[3, 4, 5],
        num_classes=20),
    backbone=dict(type='SparseMinkUNet', in_channels=3, encoder_blocks=[2, 3, 4, 6]),
    decode_head=dict(type='SegmentationHead', in_channels=96, num_classes=20, lovasz_weight=0.))
