# Pairs of overlapping RGB-D frames of ScanNet's train split, real or drawn, for contrastive pre-training.
# Convert with frames (tools/data/scannet.py ... --frames 25), then run tools/data/make_frame_pairs.py.
# PRETRAIN3D_SCANNET names the converted folder.
data_root = '{{$PRETRAIN3D_SCANNET:data/scannet}}'
# The released code pre-trains at 2.5 cm (the paper says 2); points match within one and a half voxels.
voxel_size = 0.025

# Each view is turned about its own middle: by any angle about z, by up to 180 / 64 degrees about x and y. The colour
# noise is the hundredth of the colour range that the released code means to add (it adds a hundredth of one level).
augment = [
    dict(type='CenterOnMean'),
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3.141592653589793, 3.141592653589793]),
    dict(type='RandomRotatePoints', axis='x', angle_range=[-0.04908738521234052, 0.04908738521234052]),
    dict(type='RandomRotatePoints', axis='y', angle_range=[-0.04908738521234052, 0.04908738521234052]),
    dict(type='ChromaticJitter', prob=0.95, std=0.01),
    # One point of every voxel: what is matched is what the network sees.
    dict(type='GridSamplePoints', voxel_size=voxel_size),
    # In [0, 1], as the recipes of segmentation feed colours, so that the encoder transfers.
    dict(type='NormalizePointsColor', color_mean=None),
]
train_pipeline = [
    dict(type='LoadFramePair'),
    dict(
        type='MakeViews',
        views=dict(
            view0=[dict(type='TakeFrame', view='view0')] + augment,
            view1=[dict(type='TakeFrame', view='view1')] + augment)),
    dict(type='MatchViews', source='radius', radius=1.5 * voxel_size),
    dict(type='PackPretrain3DInputs', keys=['pairs'], point_keys=['xyz_world']),
]
# Points hold x, y, z, r, g, b: data_preprocessor=dict(feature_dims=[3, 4, 5]), in_channels=3.
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeededInfiniteSampler', shuffle=True),
    dataset=dict(
        type='FramePairDataset',
        data_root=data_root,
        ann_file='frame_pairs_train.pkl',
        split='train',
        dataset_name='scannet',
        pipeline=train_pipeline))
