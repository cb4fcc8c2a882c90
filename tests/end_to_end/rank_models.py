"""What ``test_two_ranks.py`` runs on every rank: our models on batches that are dealt to ranks in unkind ways."""
import torch
from mmengine.registry import init_default_scope
from ranks import distribute, regroup, step

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample, PointData
from pretrain3d.contrastive_scene_contexts import ContrastiveSceneContexts

CLASSES = 5
LEVELS = dict(encoder_channels=(8, 8), encoder_blocks=(1, 1), decoder_channels=(8, 8), decoder_blocks=(1, 1))
BACKBONES = dict(
    SpUNet=dict(type='SpUNet', in_channels=3, base_channels=8, **LEVELS),
    SRUNet=dict(type='SRUNet', in_channels=3, depth='18A'),
    SparseMinkUNet=dict(type='SparseMinkUNet', in_channels=3, base_channels=8, **LEVELS))
LOSSES = dict(
    contexts=dict(type='SceneContextLoss', preset='p8'),
    infonce=dict(type='PointInfoNCELoss'),
    hardest=dict(type='HardestContrastiveLoss', num_candidates=40, positive_margin=0.01))

# Points of the scenes of each rank. An empty tuple is not possible (a loader gives at least one sample): (0, ) is a
# rank without points. A scene that is negative has no labels, or no matches.
SIZES = {1: dict(even=((90, 80, 70, 60), ), uneven=((90, 70, 60), ), empty=((90, 0, 80), ), unlabelled=((90, -80), )),
         2: dict(even=((90, 80), (70, 60)), uneven=((90, ), (70, 60)), empty=((0, ), (90, 80)),
                 unlabelled=((90, ), (-80, ))),
         4: dict(even=((90, ), (80, ), (70, ), (60, )), uneven=((90, ), (70, 60), (50, ), (1, )),
                 empty=((0, ), (90, ), (0, ), (80, )), unlabelled=((-70, ), (90, ), (-80, ), (0, )))}
CASES = [('SpUNet', 'segmentor', 'even'), ('SparseMinkUNet', 'segmentor', 'even'),
         *(('SpUNet', 'segmentor', case) for case in ('uneven', 'empty', 'unlabelled')),
         *(('SpUNet', loss, case) for loss in LOSSES for case in ('even', 'uneven', 'empty', 'unlabelled')),
         ('SparseMinkUNet', 'contexts', 'empty')]
# SRUNet has 15 million parameters: once is enough. Not in float32, where at this size one process alone is 6e-3 off its
# own float64 gradients: with 18 layers some ReLU flips.
PAIR_CASES = dict(float64=[*CASES, ('SRUNet', 'segmentor', 'even')], float32=CASES)


def build(backbone, task):
    """A model with the same weights everywhere."""
    init_default_scope('mmdet3d')
    torch.manual_seed(0)
    preprocessor = dict(type='Pretrain3DDataPreprocessor', voxel_size=0.3, feature_dims=[3, 4, 5])
    if task == 'segmentor':
        width = MODELS.build(BACKBONES[backbone]).out_channels
        torch.manual_seed(0)
        return MODELS.build(dict(
            type='VoxelSegmentor', backbone=BACKBONES[backbone], data_preprocessor=dict(preprocessor,
                                                                                        num_classes=CLASSES),
            decode_head=dict(type='SegmentationHead', in_channels=width, num_classes=CLASSES,
                             class_weights=(1, 2, 0.5, 1, 3))))
    return ContrastiveSceneContexts(
        backbone=BACKBONES[backbone], data_preprocessor=preprocessor,
        head=dict(in_channels=8, out_channels=16, samples_per_scene=60, loss=LOSSES[task]))


def scene(size, seed):
    """A cloud (|size|, 6) of x, y, z and three features, its labels, and an order in which a second view has it."""
    generator = torch.Generator().manual_seed(seed)
    xyz = torch.rand(abs(size), 3, generator=generator) * torch.tensor([3., 3., 2.])
    features = torch.randn(abs(size), 3, generator=generator)
    labels = torch.randint(0, CLASSES + 1, (abs(size), ), generator=generator)
    labels = torch.full_like(labels, CLASSES) if size < 0 else labels
    return torch.cat([xyz, features], 1), labels, torch.randperm(abs(size), generator=generator)


def load(task, sizes, first):
    """What the loader gives for some scenes, the first of which is number ``first`` of the whole batch."""
    drawn = [scene(size, 10 + first + place) for place, size in enumerate(sizes)]
    samples = [Det3DDataSample(metainfo=dict(voxel_seed=10 + first + place)) for place in range(len(sizes))]
    for sample, (_, labels, _) in zip(samples, drawn):
        sample.gt_pts_seg = PointData(pts_semantic_mask=labels)
    if task == 'segmentor':
        return dict(inputs=dict(points=[points for points, _, _ in drawn]), data_samples=samples)
    views = dict(view0=[points for points, _, _ in drawn], view1=[points[order] for points, _, order in drawn])
    pairs = [torch.stack([order, torch.arange(len(order))], 1) for _, _, order in drawn]
    return dict(
        inputs=dict(views={name: dict(points=clouds, xyz_world=[one[:, :3] for one in clouds])
                           for name, clouds in views.items()},
                    pairs=[pair[:0] if size < 0 else pair for pair, size in zip(pairs, sizes)]),
        data_samples=samples)


def in_type(inputs, dtype):
    """Features of all voxels in another floating point type."""
    for holder in (inputs, *inputs.get('views', {}).values()):
        if 'voxels' in holder:
            holder['voxels']['voxels'] = holder['voxels']['voxels'].to(dtype)


def one_case(backbone, task, sizes, first, dtype, wrap):
    """A training step on the scenes of one rank."""
    model = build(backbone, task).to(dtype).train()
    data = model.data_preprocessor(load(task, sizes, first), training=True)
    in_type(data['inputs'], dtype)
    return step(wrap(model), data)


def on_rank(rank, world_size, precision, cases=CASES):
    """All cases on this rank, by their names."""
    results = {}
    for backbone, task, case in cases:
        parts = SIZES[world_size][case]
        first = sum(map(len, parts[:rank]))
        results[f'{backbone} {task} {case}'] = one_case(
            backbone, task, parts[rank], first, getattr(torch, precision), distribute)
    return results


def whole(world_size, precision, cases=CASES):
    """The same cases, each with the whole batch in one process without a process group."""
    return {f'{backbone} {task} {case}': one_case(
        backbone, task, sum(SIZES[world_size][case], ()), 0, getattr(torch, precision), lambda model: model)
            for backbone, task, case in cases}


def four_then_two(rank, world_size):
    """Cases on four ranks in float64, then on two pairs: one in float64, the other in float32."""
    four = on_rank(rank, world_size, 'float64')
    precision = ('float64', 'float32')[rank // 2]
    return dict(four=four, two=on_rank(regroup(2), 2, precision, PAIR_CASES[precision]))
