# SpUNet on nuScenes-lidarseg from scratch, with Point Prompt Training's settings for one outdoor data set: AdamW 2e-3,
# batch 12, 50 epochs, 5 cm, cross-entropy and Lovasz-softmax (the released recipe from scratch: the former alone).
# Far points stay where they are, as in testing and in the released recipe. Add --amp on GPUs.
# Few labels: PRETRAIN3D_SCENES=5% (../_base_/datasets/nuscenes_lidarseg.py).
_base_ = [
    '../_base_/models/spunet_lidar.py', '../_base_/datasets/nuscenes_lidarseg.py', '../_base_/default_runtime.py',
    '../_base_/schedules/adamw_cosine_50e.py'
]
train_dataloader = dict(
    dataset=dict(pipeline=[step for step in _base_.train_pipeline if step['type'] != 'ClipPoints']))
