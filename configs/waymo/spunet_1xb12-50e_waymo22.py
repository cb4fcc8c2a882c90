# SpUNet on Waymo from scratch, with Point Prompt Training's settings for one outdoor data set: AdamW 2e-3, batch 12,
# 50 epochs, 5 cm, cross-entropy and Lovasz-softmax, frames of a batch laid over each other by twos in four of five
# steps. Far points are brought onto a box of 75.2 m, in testing too, as in the released recipe. Add --amp on GPUs.
# Few labels: PRETRAIN3D_FRAMES=1% (../_base_/datasets/waymo_seg.py).
_base_ = [
    '../_base_/models/spunet_lidar.py', '../_base_/datasets/waymo_seg.py', '../_base_/default_runtime.py',
    '../_base_/schedules/adamw_cosine_50e.py'
]
model = dict(data_preprocessor=dict(num_classes=22, mix3d_prob=0.8), decode_head=dict(num_classes=22))
test_pipeline = _base_.load_steps + [dict(type='ClipPoints', point_cloud_range=_base_.point_clip_range)
                                     ] + _base_.pack_steps
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
