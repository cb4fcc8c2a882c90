# The voxel encoder of mmdet3d's nuScenes CenterPoint as a backbone that segments voxels.
# Points hold x, y, z and strength (0 ... 1); the encoder gets what the detector gives it: intensity of 0 ... 255, and a
# time of 0, which the points of a keyframe have.
_base_ = ['voxel_encoder_nus.py']
model = dict(
    type='VoxelSegmentor',
    # The mean of the points of a voxel, as the detector's HardSimpleVFE, which stops at ten.
    data_preprocessor=dict(
        type='Pretrain3DDataPreprocessor',
        voxel_size=_base_.voxel,
        point_cloud_range=_base_.area,
        coors_order='bzyx',
        reduce='mean',
        num_classes=16),
    backbone=dict(
        type='SparseEncoderBackbone', encoder=_base_.encoder, out_channels=96, column_scale=(1., 1., 1., 255.)),
    decode_head=dict(type='SegmentationHead', in_channels=96, num_classes=16))
