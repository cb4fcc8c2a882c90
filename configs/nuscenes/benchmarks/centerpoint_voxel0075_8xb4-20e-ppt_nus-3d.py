# The same detector from the voxel encoder that
# ../../point_prompt_training/sparse-encoder_4xb3-voxel0075-350k_outdoor.py pre-trained (PRETRAIN3D_CHECKPOINT), its
# prompts folded for nuScenes. All else is the recipe from scratch.
_base_ = ['../centerpoint_voxel0075_8xb4-20e_nus-3d.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/sparse-encoder_4xb3-voxel0075-350k_outdoor/iter_350000.pth}}'
custom_hooks = _base_.custom_hooks + [
    dict(
        type='WeightTransferHook', checkpoint=checkpoint, source='backbone.encoder', target='pts_middle_encoder',
        domain='nuScenes', min_matched=1.)
]
