# Masked Scene Contrast on ScanNet as released: SpUNet on colours and normals at 2 cm, colours restored, batch 8 x 4.
# The released contrast is over the matches of a GPU (8192); here 2048 for each of its 4 scans.
_base_ = [
    '../_base_/datasets/scannet_msc.py', '../_base_/schedules/sgd_onecycle_600e_msc.py', '../_base_/default_runtime.py'
]
model = dict(
    type='MaskedSceneContrast',
    data_preprocessor=dict(
        type='Pretrain3DDataPreprocessor', voxel_size=_base_.voxel_size, reduce='random',
        feature_dims=[3, 4, 5, 6, 7, 8]),
    backbone=dict(type='SpUNet', in_channels=6),
    head=dict(
        in_channels=96,
        voxel_channels=6,
        mask_rate=0.4,
        patch_size=0.1,
        mix_prob=0.8,
        radius=0.03,
        max_neighbours=8,
        pairs_per_scene=2048,
        loss=dict(type='PointInfoNCELoss', temperature=0.4, negatives='rank')))
default_hooks = dict(checkpoint=dict(interval=10))
log_processor = dict(custom_cfg=[dict(data_src='msc.retrieval', method_name='mean', window_size=10)])
