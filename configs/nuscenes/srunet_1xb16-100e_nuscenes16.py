# SRUNet-34C on nuScenes-lidarseg from scratch, as the authors of SLidR train theirs: SGD 0.05, batch 16, 100 epochs,
# 10 cm, rotations and flips alone, cross-entropy and Lovasz-softmax. Add --amp on GPUs.
# Few labels: PRETRAIN3D_SCENES=5% (../_base_/datasets/nuscenes_lidarseg.py).
_base_ = [
    '../_base_/models/srunet_lidar.py', '../_base_/datasets/nuscenes_lidarseg.py', '../_base_/default_runtime.py',
    '../_base_/schedules/sgd_cosine_100e.py'
]
train_pipeline = _base_.load_steps + [
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3.141592653589793, 3.141592653589793]),
    dict(type='RandomFlipPoints', prob=0.5),
] + _base_.pack_steps
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
