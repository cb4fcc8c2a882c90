# SRUNet-34C on every hundredth sweep of SemanticKITTI (1 %, 192 sweeps) from scratch, with SLidR's settings: SGD 0.05,
# batch 10, 100 epochs, 10 cm, rotations and flips alone, cross-entropy and Lovasz-softmax. Add --amp on GPUs.
_base_ = [
    '../_base_/models/srunet_lidar.py', '../_base_/datasets/semantickitti_seg.py', '../_base_/default_runtime.py',
    '../_base_/schedules/sgd_cosine_100e.py'
]
model = dict(data_preprocessor=dict(num_classes=19), decode_head=dict(num_classes=19))
train_pipeline = _base_.load_steps + [
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3.141592653589793, 3.141592653589793]),
    dict(type='RandomFlipPoints', prob=0.5),
] + _base_.pack_steps
train_dataloader = dict(batch_size=10, dataset=dict(frames='1%', pipeline=train_pipeline))
