# Without RGB-D frames: two crops of one reconstruction, SRUNet-18A.
_base_ = [
    '../_base_/datasets/cloud_pairs.py', '../_base_/schedules/sgd_step_60k.py', '../_base_/default_runtime.py'
]
model = dict(
    type='ContrastiveSceneContexts',
    data_preprocessor=dict(
        type='Pretrain3DDataPreprocessor', voxel_size=_base_.voxel_size, reduce='random', feature_dims=[3, 4, 5]),
    backbone=dict(type='SRUNet', in_channels=3, depth='18A'),
    head=dict(in_channels=96, loss=dict(type='SceneContextLoss', preset='p8', temperature=0.4)))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(by_epoch=False)
