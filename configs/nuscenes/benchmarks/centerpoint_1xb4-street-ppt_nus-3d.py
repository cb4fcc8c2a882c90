# The same detector from the voxel encoder that ../../point_prompt_training/sparse-encoder_1xb4-street_outdoor.py
# pre-trained on two drawn LiDARs (PRETRAIN3D_CHECKPOINT), its prompts folded for nuScenes. All else is the recipe from
# scratch.
_base_ = ['../centerpoint_1xb4-street_nus-3d.py']
checkpoint = '{{$PRETRAIN3D_CHECKPOINT:work_dirs/sparse-encoder_1xb4-street_outdoor/iter_800.pth}}'
custom_hooks = _base_.custom_hooks + [
    dict(
        type='WeightTransferHook', checkpoint=checkpoint, source='backbone.encoder', target='pts_middle_encoder',
        domain='nuScenes', min_matched=1.)
]
