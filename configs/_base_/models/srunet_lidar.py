# SRUNet-34C (37.9 M) on LiDAR sweeps: the strength (0 ... 1) of 10 cm voxels, nuScenes' 16 classes, cross-entropy and
# Lovasz-softmax. Coherent Semantic Cues (and SLidR before it) has cylindrical voxels, 10 cm by 1 degree by 10 cm, and
# the intensity as the files have it.
_base_ = ['srunet.py']
model = dict(
    data_preprocessor=dict(voxel_size=0.1, feature_dims=[3], num_classes=16),
    backbone=dict(in_channels=1),
    decode_head=dict(num_classes=16, lovasz_weight=1.))
