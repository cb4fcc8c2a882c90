# The voxel encoder of the detectors on drawn streets as a backbone that segments voxels, see sparse_encoder.py.
_base_ = ['voxel_encoder_street.py']
model = dict(
    type='VoxelSegmentor',
    data_preprocessor=dict(
        type='Pretrain3DDataPreprocessor',
        voxel_size=_base_.voxel,
        point_cloud_range=_base_.area,
        coors_order='bzyx',
        reduce='mean',
        num_classes=16),
    backbone=dict(
        type='SparseEncoderBackbone', encoder=_base_.encoder, out_channels=48, column_scale=(1., 1., 1., 255.),
        norm_cfg=dict(type='BN1d', eps=1e-3, momentum=0.1)),
    decode_head=dict(type='SegmentationHead', in_channels=48, num_classes=16))
