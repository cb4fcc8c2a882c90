"""What ``test_masked_scene_contrast_ranks.py`` runs on every rank."""
import torch
from mmengine.registry import init_default_scope
from msc_batches import SMALL, model_config, two_views
from ranks import distribute, regroup, step

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS

DOMAINS = ('ScanNet', 'S3DIS')
PROMPTED = dict(type='PromptedBackbone', backbone=SMALL, domains=list(DOMAINS), channels=16)
# Points of the scenes of each rank. Scenes are mixed in pairs of one rank, so a split between pairs changes nothing.
SIZES = {1: dict(even=((90, 80, 70, 60), ), uneven=((90, 70, 60), ), empty=((0, 90, 80), )),
         2: dict(even=((90, 80), (70, 60)), uneven=((90, ), (70, 60)), empty=((0, ), (90, 80))),
         4: dict(even=((90, ), (80, ), (70, ), (60, )), uneven=((90, ), (70, 60), (50, ), (1, )),
                 empty=((0, ), (90, ), (0, ), (80, )))}
# Name: backbone, how the scenes lie, probability of mixing.
CASES = dict(even=(SMALL, 'even', 0.), uneven=(SMALL, 'uneven', 0.), empty=(SMALL, 'empty', 0.),
             mixed=(SMALL, 'even', 1.), prompted=(PROMPTED, 'uneven', 0.), prompted_mixed=(PROMPTED, 'even', 1.))


def model_of(case):
    """The same weights everywhere."""
    init_default_scope('mmdet3d')
    torch.manual_seed(0)
    model = MODELS.build(model_config(
        backbone=CASES[case][0], voxel_size=0.2, mix_prob=CASES[case][2], pairs_per_scene=30, normal_dims=(3, 4, 5),
        normal_weight=1.))
    for name, parameter in model.named_parameters():  # prompts act from the first step
        if 'modulation' in name:
            torch.nn.init.normal_(parameter, 1., 0.1)
    return model.double()


def batch_of(model, sizes, first):
    """Scenes from number ``first`` on, each of its own domain, neighbours of one."""
    domains = [DOMAINS[(first + place) // 2 % 2] for place in range(len(sizes))]
    batch = two_views(sizes, domains=domains, first=first)
    data = model.data_preprocessor(batch, training=True)
    for view in data['inputs']['views'].values():
        view['voxels']['voxels'] = view['voxels']['voxels'].double()
    return data


def cases(world_size):
    return [case for case in CASES if world_size < 4 or not CASES[case][2]]


def whole(world_size):
    """One process with the scenes of all ranks."""
    from mmengine.model import convert_sync_batchnorm
    results = {}
    for case in cases(world_size):
        model = convert_sync_batchnorm(model_of(case), 'torch').train()
        sizes = [size for rank in SIZES[world_size][CASES[case][1]] for size in rank]
        results[case] = step(model, batch_of(model, sizes, 0))
    return results


def on_rank(rank, world_size):
    results = {}
    for case in cases(world_size):
        deal = SIZES[world_size][CASES[case][1]]
        model = distribute(model_of(case))
        results[case] = step(model, batch_of(model.module, deal[rank], sum(map(len, deal[:rank]))))
    return results


def four_then_two(rank, world_size):
    """On four ranks, then on two pairs."""
    results = dict(four=on_rank(rank, world_size))
    return dict(results, two=on_rank(regroup(2), 2))
