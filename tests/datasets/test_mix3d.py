import copy

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData

from mmdet3d.structures import Det3DDataSample, PointData
from pretrain3d.datasets.mix3d import chance, mix_scenes, partners
from pretrain3d.datasets.preprocessor import Pretrain3DDataPreprocessor
from pretrain3d.label_spaces import UnknownNameError

CLASSES = dict(ScanNet=20, S3DIS=13)


def scene(seed, n=60, domain='ScanNet', size=(4., 3., 2.), corner=(0., 0., 0.), **inputs):
    """A cloud (n, 6) whose last column tells the scene, and its labels."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(n, 6, generator=generator)
    points[:, :3] = points[:, :3] * torch.tensor(size) + torch.tensor(corner)
    points[:, 5] = seed
    sample = Det3DDataSample(metainfo=dict(lidar_path=f'cloud{seed}.bin', voxel_seed=100 + seed, domain=domain))
    sample.gt_pts_seg = PointData(
        pts_semantic_mask=torch.randint(0, CLASSES[domain] + 1, (n, ), generator=generator))
    return dict(inputs=dict(points=points, **inputs), data_samples=sample)


def process(scenes, training=True, **options):
    options = dict(dict(voxel_size=0.4, num_classes=CLASSES, mix3d_prob=1.), **options)
    return Pretrain3DDataPreprocessor(**options)(pseudo_collate(copy.deepcopy(scenes)), training)


def middle(points):
    low, high = points[:, :3].min(0).values, points[:, :3].max(0).values
    return torch.cat([(low[:2] + high[:2]) / 2, low[2:]])


def corner_overlap(first, second):
    """What the released code does with two scenes: each lies at the corner of its own grid. Occupied cells, and those
    with rows of both scenes, which its sparse tensor holds twice."""
    cells = [{tuple(cell) for cell in np.floor((points[:, :3] - points[:, :3].min(0).values).numpy() / 0.4).astype(int)}
             for points in (first, second)]
    return cells


def test_scenes_are_laid_over_each_other_centred_and_a_shared_voxel_is_one():
    small = scene(1, n=200, size=(1.2, 1.2, 1.), corner=(7., -5., 3.))
    large = scene(0, n=900, size=(6., 6., 2.))
    out = process([large, small], voxel_size=0.4)
    (points, ), sparse = out['inputs']['points'], out['inputs']['voxels']
    assert sparse['batch_size'] == 1 and len(points) == 1100 and len(out['data_samples']) == 1
    ours = [points[points[:, 5] == seed] for seed in (0, 1)]
    assert torch.equal(ours[0], large['inputs']['points'])
    assert torch.equal(ours[1][:, 3:], small['inputs']['points'][:, 3:])
    shift = ours[1][:, :3] - small['inputs']['points'][:, :3]
    assert (shift - shift[0]).abs().max() < 1e-5
    assert torch.allclose((shift[0] / 0.4).round() * 0.4, shift[0], atol=1e-5), 'whole voxels'
    assert (middle(ours[0]) - middle(ours[1])).abs().max() <= 0.2 + 1e-5
    assert len(torch.unique(sparse['coors'], dim=0)) == len(sparse['coors']), 'a voxel of both scenes is one voxel'
    # The reference: the small scene lies in a corner of the large one, and cells of both are there twice.
    cells = corner_overlap(large['inputs']['points'], small['inputs']['points'])
    assert len(cells[0] & cells[1]) > 10
    assert max(cell[0] for cell in cells[1]) <= 3 < 7 <= float(middle(ours[0])[0]) / 0.4


def test_labels_follow_and_samples_are_not_written_to():
    scenes = [scene(0), scene(1), scene(2)]
    before = copy.deepcopy(scenes)
    out = process(scenes)
    assert [len(points) for points in out['inputs']['points']] == [120, 60], 'three scenes: a pair and a single one'
    own = [one['data_samples'].gt_pts_seg.pts_semantic_mask for one in scenes]
    assert torch.equal(out['data_samples'][0].gt_pts_seg.pts_semantic_mask, torch.cat(own[:2]))
    assert torch.equal(out['data_samples'][1].gt_pts_seg.pts_semantic_mask, own[2])
    assert out['data_samples'][0].metainfo['mixed_with'] == 'cloud1.bin'
    counts = out['inputs']['voxels']['coors'][:, 0].bincount().tolist()
    assert [len(one.gt_pts_seg.voxel_semantic_mask) for one in out['data_samples']] == counts
    batch = pseudo_collate(scenes)
    mix_scenes(batch['inputs'], batch['data_samples'], 1.)
    for one, other in zip(scenes, before):
        assert torch.equal(one['inputs']['points'], other['inputs']['points'])
        assert 'mixed_with' not in one['data_samples'].metainfo
        assert len(one['data_samples'].gt_pts_seg.pts_semantic_mask) == 60


def test_points_on_a_grid_stay_one_a_voxel():
    """After GridSamplePoints a voxel of each scene holds one point; a shift by parts of a voxel would merge some."""
    generator = torch.Generator().manual_seed(0)
    scenes = [scene(seed, n=1, size=(1, 1, 1)) for seed in (0, 1)]
    for one, extent in zip(scenes, (9, 6)):
        cells = torch.unique(torch.randint(0, extent, (150, 3), generator=generator), dim=0)
        one['inputs']['points'] = torch.cat([(cells + 0.5) * 0.25, torch.rand(len(cells), 3)], 1)
        one['data_samples'].gt_pts_seg = PointData(pts_semantic_mask=torch.zeros(len(cells), dtype=torch.long))
    out = process(scenes, voxel_size=0.25)
    rows = out['inputs']['voxels']['point2voxel'][0].split([len(one['inputs']['points']) for one in scenes])
    assert all(len(torch.unique(part)) == len(part) for part in rows)
    assert out['inputs']['voxels']['voxels'].shape[0] < len(torch.cat(rows)), 'the scenes do overlap'


def test_partners_are_neighbours_of_one_domain():
    samples = [scene(i, domain=domain)['data_samples'] for i, domain in enumerate(
        ['ScanNet', 'S3DIS', 'ScanNet', 'ScanNet', 'S3DIS', 'S3DIS', 'ScanNet'])]
    assert partners(samples) == [(0, 2), (1, 4), (3, 6), (5, None)]
    out = process([scene(0), scene(1, domain='S3DIS'), scene(2), scene(3, domain='S3DIS')])
    assert [one.metainfo['domain'] for one in out['data_samples']] == ['ScanNet', 'S3DIS']
    assert [sorted(set(points[:, 5].tolist())) for points in out['inputs']['points']] == [[0, 2], [1, 3]]


def test_the_chance_is_of_the_batch_and_repeats():
    mixed = []
    for seed in range(300):
        batch = [scene(seed, n=2), scene(seed + 1, n=2)]
        sizes = {len(process(batch, mix3d_prob=0.8)['data_samples']) for _ in range(2)}
        assert len(sizes) == 1, 'the same batch comes out the same'
        mixed.append(sizes == {1})
    assert 0.72 < np.mean(mixed) < 0.88
    assert 0.45 < np.mean([chance([scene(seed, n=1)['data_samples']]) for seed in range(300)]) < 0.55
    bare = Det3DDataSample()
    torch.manual_seed(3)
    wanted = chance([bare])
    torch.manual_seed(3)
    assert chance([bare]) == wanted != chance([bare])


def test_in_training_alone():
    batch = [scene(0), scene(1)]
    assert len(process(batch, training=False)['data_samples']) == 2
    assert len(process(batch, mix3d_prob=0.)['data_samples']) == 2


def test_sweeps_keep_the_origin_of_the_sensor():
    batch = [scene(0, corner=(-4., -3., -2.)), scene(1)]
    out = process(batch, point_cloud_range=[-4, -4, -2, 4, 4, 2])
    assert torch.equal(out['inputs']['points'][0], torch.cat([one['inputs']['points'] for one in batch]))


def test_an_empty_scene():
    out = process([scene(0, n=0), scene(1)])
    assert torch.equal(out['inputs']['points'][0], scene(1)['inputs']['points'])


def test_what_cannot_be_mixed_is_an_error():
    with pytest.raises(ValueError, match="also hold.*'pairs'"):
        process([scene(0, pairs=torch.ones(1)), scene(1, pairs=torch.ones(1))])
    batch = [scene(0), scene(1)]
    batch[0]['data_samples'].gt_pts_seg.pts_instance_mask = torch.zeros(60)
    with pytest.raises(ValueError, match='cloud0.bin.*pts_instance_mask'):
        process(batch)
    batch = [scene(0), scene(1)]
    batch[1]['data_samples'].gt_instances_3d = InstanceData(labels_3d=torch.zeros(2))
    with pytest.raises(ValueError, match='cloud1.bin.*boxes'):
        process(batch)
    for options in (dict(mix3d_prob=1.5), dict(mix3d_prob=0.5, voxel_size=None)):
        with pytest.raises(ValueError, match='mix3d_prob'):
            Pretrain3DDataPreprocessor(**options)


# Labels of several domains in one batch


def test_voxel_labels_of_a_mixed_batch_are_those_of_each_domain_alone():
    batch = [scene(0, n=300), scene(1, n=200, domain='S3DIS'), scene(2, n=100)]
    out = process(batch, mix3d_prob=0.)
    for one, together in zip(batch, out['data_samples']):
        alone = process([one], mix3d_prob=0., num_classes=CLASSES[one['data_samples'].metainfo['domain']])
        wanted = alone['data_samples'][0].gt_pts_seg.voxel_semantic_mask
        assert torch.equal(together.gt_pts_seg.voxel_semantic_mask, wanted)
        assert int(wanted.max()) == CLASSES[one['data_samples'].metainfo['domain']], 'some voxel has no label'


def test_a_domain_without_a_number_of_classes_is_an_error():
    with pytest.raises(UnknownNameError, match="'ScanNet'.*S3DIS, by num_classes.*cloud0.bin.*domain"):
        process([scene(0)], num_classes=dict(S3DIS=13))
    silent = scene(0)
    silent['data_samples'].pop('domain')
    with pytest.raises(UnknownNameError, match='None'):
        process([silent])
