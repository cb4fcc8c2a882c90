# ScanNet's 18 detection classes, axis-aligned boxes; converted by tools/data/scannet.py, real or drawn.
# PRETRAIN3D_SCANNET names the converted folder.
# Few labels: --cfg-options train_dataloader.dataset.limit_boxes=1 (2, 4, 7, or a list file), .limit_scenes=0.1,
# .limit_seed=1
data_root = '{{$PRETRAIN3D_SCANNET:data/scannet}}'
num_points = 40000

load_steps = [
    dict(type='LoadPointsChecked', coord_type='DEPTH', shift_height=True, load_dim=6, use_dim=[0, 1, 2]),
]
# Points into the frame whose axes the boxes follow.
align_step = dict(type='GlobalAlignment', rotation_axis=2)
train_pipeline = load_steps + [
    dict(type='LoadAnnotationsChecked', with_bbox_3d=True, with_label_3d=True, with_mask_3d=True, with_seg_3d=True),
    align_step,
    dict(type='PointSegClassMapping'),
    dict(type='LimitBoxes'),
    dict(type='PointSample', num_points=num_points),
    dict(type='RandomFlip3D', sync_2d=False, flip_ratio_bev_horizontal=0.5, flip_ratio_bev_vertical=0.5),
    dict(
        type='GlobalRotScaleTrans', rot_range=[-0.087266, 0.087266], scale_ratio_range=[1.0, 1.0],
        shift_height=True),
    dict(
        type='Pack3DDetInputs',
        keys=['points', 'gt_bboxes_3d', 'gt_labels_3d', 'pts_semantic_mask', 'pts_instance_mask']),
]
test_pipeline = load_steps + [
    align_step,
    dict(type='PointSample', num_points=num_points),
    dict(type='Pack3DDetInputs', keys=['points']),
]

dataset = dict(
    type='ScanNetDetDataset',
    data_root=data_root,
    data_prefix=dict(pts='points', pts_instance_mask='instance_mask', pts_semantic_mask='semantic_mask'))
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeededSampler', shuffle=True),
    dataset=dict(**dataset, ann_file='scannet_infos_train.pkl', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='SeededSampler', shuffle=False),
    dataset=dict(**dataset, ann_file='scannet_infos_val.pkl', pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader

val_evaluator = dict(type='IndoorMetric')
test_evaluator = val_evaluator
