# Contrastive Scene Contexts as the paper has it: SRUNet-34C, 8 cells, 4096 matches a scene, 60 k steps, batch 8 x 4.
# Voxels of 2.5 cm, as in the released scripts; the paper's 2 cm are in srunet_8xb4-p8-60k-v20_scannet-pairs.py.
_base_ = [
    '../_base_/datasets/scannet_frame_pairs.py', '../_base_/schedules/sgd_step_60k.py', '../_base_/default_runtime.py'
]
model = dict(
    type='ContrastiveSceneContexts',
    data_preprocessor=dict(
        type='Pretrain3DDataPreprocessor', voxel_size=_base_.voxel_size, reduce='random', feature_dims=[3, 4, 5]),
    # Norm momentum as in pre-training: 0.05, and 0.1 inside the residual blocks.
    backbone=dict(type='SRUNet', in_channels=3, depth='34C'),
    head=dict(
        in_channels=96,
        out_channels=32,
        samples_per_scene=4096,
        loss=dict(type='SceneContextLoss', preset='p8', temperature=0.4)))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(
    by_epoch=False, custom_cfg=[dict(data_src='contrast.retrieval', method_name='mean', window_size=10)])
