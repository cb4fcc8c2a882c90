# The paper's voxels of 2 cm ("for all experiments"; its released scripts pre-train at 2.5 cm).
_base_ = ['./srunet_8xb4-p8-60k_scannet-pairs.py']
voxel_size = 0.02
model = dict(data_preprocessor=dict(voxel_size=voxel_size))
augment = [
    dict(type='CenterOnMean'),
    dict(type='RandomRotatePoints', axis='z', angle_range=[-3.141592653589793, 3.141592653589793]),
    dict(type='RandomRotatePoints', axis='x', angle_range=[-0.04908738521234052, 0.04908738521234052]),
    dict(type='RandomRotatePoints', axis='y', angle_range=[-0.04908738521234052, 0.04908738521234052]),
    dict(type='ChromaticJitter', prob=0.95, std=0.01),
    dict(type='GridSamplePoints', voxel_size=voxel_size),
    dict(type='NormalizePointsColor', color_mean=None),
]
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadFramePair'),
    dict(
        type='MakeViews',
        views=dict(
            view0=[dict(type='TakeFrame', view='view0')] + augment,
            view1=[dict(type='TakeFrame', view='view1')] + augment)),
    dict(type='MatchViews', source='radius', radius=1.5 * voxel_size),
    dict(type='PackPretrain3DInputs', keys=['pairs'], point_keys=['xyz_world']),
]))
