# SRUNet-34C (37.9 M) segmenting ScanNet's 20 classes at 2 cm; depth='18A' is the small one (15.5 M).
# Points hold x, y, z, r, g, b; colours in [0, 1] (NormalizePointsColor(color_mean=None)).
model = dict(
    type='VoxelSegmentor',
    data_preprocessor=dict(
        type='Pretrain3DDataPreprocessor',
        voxel_size=0.02,
        reduce='random',
        feature_dims=[3, 4, 5],
        num_classes=20),
    # Momentum as in fine-tuning (0.05 in pre-training); inside the residual blocks it is 0.1.
    backbone=dict(type='SRUNet', in_channels=3, depth='34C', norm_cfg=dict(type='BN1d', momentum=0.02)),
    decode_head=dict(type='SegmentationHead', in_channels=96, num_classes=20, lovasz_weight=0.))
