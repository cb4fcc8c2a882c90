# SpUNet on ScanNet200 from scratch: 600 epochs and position as input besides colour and normal (9 channels).
_base_ = [
    '../_base_/models/spunet.py', '../_base_/datasets/scannet200_seg.py', '../_base_/default_runtime.py',
    '../_base_/schedules/sgd_onecycle_800e.py'
]
model = dict(
    data_preprocessor=dict(feature_dims=[0, 1, 2, 3, 4, 5, 6, 7, 8], num_classes=200),
    backbone=dict(in_channels=9),
    decode_head=dict(num_classes=200))
train_cfg = dict(max_epochs=600)
param_scheduler = [
    dict(type='OneCycleLR', eta_max=0.05, pct_start=0.05, div_factor=10, final_div_factor=1e4, end=600,
         by_epoch=True, convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(interval=20))
