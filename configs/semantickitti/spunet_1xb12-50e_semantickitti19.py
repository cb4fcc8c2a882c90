# SpUNet on SemanticKITTI from scratch, with Point Prompt Training's settings for one outdoor data set: AdamW 2e-3,
# batch 12, 50 epochs, 5 cm, cross-entropy weighted by class and Lovasz-softmax (the released recipe from scratch: the
# former alone), sweeps of a batch laid over each other by twos in four of five steps. Far points are brought onto a box
# of 35.2 m, in testing too, as in the released recipe. Add --amp on GPUs.
# Few labels: PRETRAIN3D_FRAMES=1% (../_base_/datasets/semantickitti_seg.py).
_base_ = [
    '../_base_/models/spunet_lidar.py', '../_base_/datasets/semantickitti_seg.py', '../_base_/default_runtime.py',
    '../_base_/schedules/adamw_cosine_50e.py'
]
model = dict(
    data_preprocessor=dict(num_classes=19, mix3d_prob=0.8),
    decode_head=dict(
        num_classes=19,
        class_weights=[
            3.1557, 8.7029, 7.8281, 6.1354, 6.3161, 7.9937, 8.9704, 10.1922, 1.6155, 4.2187, 1.9385, 5.5455, 2.0198,
            2.6261, 1.3212, 5.1102, 2.5492, 5.8585, 7.3929
        ]))
test_pipeline = _base_.load_steps + [dict(type='ClipPoints', point_cloud_range=_base_.point_clip_range)
                                     ] + _base_.pack_steps
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
