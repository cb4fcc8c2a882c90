# SpUNet on S3DIS from scratch, as Pointcept trains it: coordinates and colours of 5 cm voxels, SGD 0.1, poly, batch 12,
# 3000 epochs, tested on area 5. Add --amp on GPUs. Pointcept also joins two rooms of a batch in four of five (Mix3D).
_base_ = [
    '../_base_/models/spunet.py', '../_base_/datasets/s3dis_seg.py', '../_base_/default_runtime.py',
    '../_base_/schedules/sgd_poly_3000e.py'
]
model = dict(
    data_preprocessor=dict(voxel_size=0.05, feature_dims=[0, 1, 2, 3, 4, 5], num_classes=13),
    decode_head=dict(num_classes=13))
default_hooks = dict(checkpoint=dict(interval=100))
