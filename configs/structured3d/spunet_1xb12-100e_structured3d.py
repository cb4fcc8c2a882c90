# SpUNet on Structured3D from scratch, as Pointcept trains it: colours and normals of 2 cm voxels, SGD 0.05, OneCycle,
# batch 12, 100 epochs. Add --amp on GPUs. Pointcept keeps 60 % of a room's points here and 80 % where Structured3D is
# one of several data sets, and joins two rooms of a batch in four of five (Mix3D); here it is 80 %, and no rooms are
# joined.
_base_ = [
    '../_base_/models/spunet.py', '../_base_/datasets/structured3d_seg.py', '../_base_/default_runtime.py',
    '../_base_/schedules/sgd_onecycle_800e.py'
]
model = dict(data_preprocessor=dict(num_classes=25), decode_head=dict(num_classes=25))
train_cfg = dict(max_epochs=100, val_interval=5)
param_scheduler = [
    dict(type='OneCycleLR', eta_max=0.05, pct_start=0.05, div_factor=10, final_div_factor=1e4, end=100,
         by_epoch=True, convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(interval=5))
