# SpUNet made narrow (1.2 M parameters) on the colours of 10 cm voxels: for drawn rooms on a CPU, in minutes.
# Colours alone, because RGB-D frames, from which it is pre-trained, have no normals.
model = dict(
    # Of a voxel of this size the mean says more than one point.
    data_preprocessor=dict(
        type='Pretrain3DDataPreprocessor', voxel_size=0.1, reduce='mean', feature_dims=[3, 4, 5]),
    # Few steps: running statistics must follow faster than the 0.01 of a long training.
    backbone=dict(
        type='SpUNet', in_channels=3, base_channels=16, encoder_channels=(16, 32, 64, 64),
        encoder_blocks=(1, 1, 1, 1), decoder_channels=(64, 32, 32, 24), decoder_blocks=(1, 1, 1, 1),
        norm_cfg=dict(type='BN1d', eps=1e-3, momentum=0.1)))
