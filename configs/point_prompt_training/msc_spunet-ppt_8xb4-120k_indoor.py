# Unsupervised Point Prompt Training: Masked Scene Contrast on Structured3D, ScanNet and S3DIS in turns (4 : 2 : 1), one
# data set a batch, PDNorm everywhere, no labels. Folders: PRETRAIN3D_STRUCTURED3D, _SCANNET, _S3DIS.
# The paper names the three data sets and no settings, and nothing is released: these are those of Masked Scene Contrast
# with the length and the ratios of joint training. S3DIS without area 5, ScanNet without the scans it is tested on.
_base_ = ['./msc_spunet_8xb4-600e_scannet.py', '../_base_/schedules/prompt_rates.py']
ratios = dict(Structured3D=4, ScanNet=2, S3DIS=1)
model = dict(
    backbone=dict(
        _delete_=True, type='PromptedBackbone', backbone=_base_.model.backbone, domains=list(ratios), adapter='norm',
        scope='all', channels=256, zero_init=True))

pipeline = _base_.train_pipeline[:-1]
prefix = dict(pts='points_normals', pts_instance_mask='', pts_semantic_mask='')
datasets = dict(
    Structured3D=dict(
        type='Structured3DDataset', data_root='{{$PRETRAIN3D_STRUCTURED3D:data/structured3d}}',
        ann_file='structured3d_infos_train.pkl'),
    ScanNet=dict(
        type='ScanNet20Dataset', data_root='{{$PRETRAIN3D_SCANNET:data/scannet}}', ann_file='scannet_infos_train.pkl'),
    S3DIS=dict(type='S3DIS13Dataset', data_root='{{$PRETRAIN3D_S3DIS:data/s3dis}}', areas=[1, 2, 3, 4, 6]))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='SeededInfiniteSampler', shuffle=True),
    batch_sampler=dict(type='DomainBatchSampler', ratios=ratios),
    dataset=dict(
        _delete_=True,
        type='mmdet.ConcatDataset',
        datasets=[
            dict(
                **datasets[name], data_prefix=prefix, pipeline=pipeline + [
                    dict(type='PackPretrain3DInputs', keys=[], point_keys=['xyz_world'], domain=name)])
            for name in ratios
        ]))

# Schedulers that know groups: prompts, and what is made of them, learn ten times slower.
max_iters = 120000
warm_up = 6000
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=max_iters)
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=_base_.prompt_rates))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=warm_up, by_epoch=False),
    dict(
        type='CosineAnnealingLR', eta_min_ratio=1e-5, begin=warm_up, end=max_iters, T_max=max_iters - warm_up,
        by_epoch=False),
]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=6000))
log_processor = dict(by_epoch=False)
