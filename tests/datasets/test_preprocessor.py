import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from mmdet3d.models.data_preprocessors import Det3DDataPreprocessor
from mmdet3d.structures import Det3DDataSample, PointData
from pretrain3d.datasets.preprocessor import Pretrain3DDataPreprocessor


def sample(seed, n=30, voxel_seed=None, **inputs):
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(n, 4, generator=generator)
    data = Det3DDataSample(metainfo=dict(lidar_path=f'cloud{seed}.bin'))
    if voxel_seed is not None:
        data.set_metainfo(dict(voxel_seed=voxel_seed))
    data.gt_pts_seg = PointData(pts_semantic_mask=torch.randint(0, 4, (n, ), generator=generator))
    return dict(inputs=dict(points=points, **inputs), data_samples=data)


def test_everything_arrives():
    marker = object()
    batch = pseudo_collate([
        sample(0, pairs=torch.ones(2, 2), names='a', parts=[torch.ones(1)], thing=marker,
               views=dict(one=dict(points=torch.rand(9, 4), superpixel=torch.arange(9)))),
        sample(1, n=0, pairs=torch.ones(5, 2), names='b', parts=[torch.ones(2)], thing=marker,
               views=dict(one=dict(points=torch.rand(3, 4), superpixel=torch.arange(3))))])
    out = Pretrain3DDataPreprocessor(voxel_size=0.3, num_classes=3)(batch, training=True)
    inputs = out['inputs']
    assert [len(points) for points in inputs['points']] == [30, 0]
    assert inputs['voxels']['batch_size'] == 2 and inputs['voxels']['voxels'].shape[1] == 4
    assert [len(rows) for rows in inputs['views']['one']['voxels']['point2voxel']] == [9, 3]
    assert [len(rows) for rows in inputs['views']['one']['superpixel']] == [9, 3]
    assert [pairs.shape for pairs in inputs['pairs']] == [(2, 2), (5, 2)]
    assert inputs['names'] == ['a', 'b'] and inputs['thing'] == [marker, marker]
    counts = torch.bincount(inputs['voxels']['coors'][:, 0], minlength=2).tolist()
    assert [len(one.gt_pts_seg.voxel_semantic_mask) for one in out['data_samples']] == counts
    assert counts[1] == 0 < counts[0]
    assert 'voxels' not in batch['inputs'] and 'voxels' not in batch['inputs']['views']['one']


def test_tensors_move_to_the_device():
    processor = Pretrain3DDataPreprocessor(voxel_size=0.3).to('meta')
    moved = processor.cast_data(dict(pairs=[torch.ones(2)], views=dict(a=dict(points=[torch.ones(1, 3)]))))
    assert moved['pairs'][0].device.type == moved['views']['a']['points'][0].device.type == 'meta'


def test_images_are_the_parents():
    images = [torch.randint(0, 255, (2, 3, 8, 10), dtype=torch.uint8) for _ in range(2)]
    batch = pseudo_collate([sample(i, img=image, extra=torch.ones(1)) for i, image in enumerate(images)])
    options = dict(mean=[1., 2, 3], std=[4., 5, 6], bgr_to_rgb=True, pad_size_divisor=4)
    ours = Pretrain3DDataPreprocessor(voxel_size=0.3, **options)(batch)['inputs']
    theirs = Det3DDataPreprocessor(**options)(batch)['inputs']
    assert torch.equal(ours['imgs'], theirs['imgs']) and ours['imgs'].shape == (2, 2, 3, 8, 12)
    assert 'extra' in ours and 'extra' not in theirs


def test_detection_users_keep_mmdet3ds_voxels():
    layer = dict(max_num_points=5, voxel_size=[0.2, 0.2, 0.5], point_cloud_range=[0, 0, 0, 1, 1, 1], max_voxels=100)
    options = dict(voxel=True, voxel_type='hard', voxel_layer=layer)
    batch = pseudo_collate([sample(0), sample(1)])
    ours = Pretrain3DDataPreprocessor(**options)(batch)['inputs']['voxels']
    theirs = Det3DDataPreprocessor(**options)(batch)['inputs']['voxels']
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)
    with pytest.raises(ValueError, match='voxel=True'):
        Pretrain3DDataPreprocessor(voxel_size=0.1, **options)
    assert 'voxels' not in Pretrain3DDataPreprocessor()(batch)['inputs']


def test_a_random_point_is_the_samples_own_choice():
    processor = Pretrain3DDataPreprocessor(voxel_size=0.5, reduce='random')
    one, two = sample(0, 200, voxel_seed=5), sample(1, 200, voxel_seed=6)

    def features(samples, training=True):
        sparse = processor(pseudo_collate(samples), training)['inputs']['voxels']
        return [sparse['voxels'][sparse['coors'][:, 0] == i] for i in range(len(samples))]

    alone, together = features([one])[0], features([two, one])[1]
    assert torch.equal(alone, together)
    assert not torch.equal(alone, features([sample(0, 200, voxel_seed=7)])[0])
    assert {tuple(row) for row in alone.tolist()} <= {tuple(row) for row in one['inputs']['points'].tolist()}
    first = Pretrain3DDataPreprocessor(voxel_size=0.5, reduce='first')
    expected = first(pseudo_collate([one]))['inputs']['voxels']['voxels']
    assert torch.equal(features([one], training=False)[0], expected) and not torch.equal(alone, expected)


def test_views_make_different_random_choices():
    points = torch.rand(200, 4)
    data = sample(0, voxel_seed=3, views=dict(a=dict(points=points), b=dict(points=points.clone())))
    views = Pretrain3DDataPreprocessor(voxel_size=0.5, reduce='random')(
        pseudo_collate([data]), True)['inputs']['views']
    assert torch.equal(views['a']['voxels']['coors'], views['b']['voxels']['coors'])
    assert not torch.equal(views['a']['voxels']['voxels'], views['b']['voxels']['voxels'])


def test_test_time_augmentation_and_no_annotations():
    batch = [pseudo_collate([sample(i)]) for i in range(2)]
    out = Pretrain3DDataPreprocessor(voxel_size=0.3)(batch)
    assert [one['inputs']['voxels']['batch_size'] for one in out] == [1, 1]
    bare = Pretrain3DDataPreprocessor(voxel_size=0.3, num_classes=3)(dict(inputs=dict(points=[torch.rand(4, 3)])))
    assert bare['data_samples'] is None and len(bare['inputs']['voxels']['point2voxel'][0]) == 4


@pytest.mark.parametrize('options, words', [
    (dict(voxel_size=0), 'voxel_size'), (dict(voxel_size=[1, 2]), 'voxel_size'),
    (dict(coors_order='xyzb'), 'coors_order'), (dict(reduce='max'), 'reduce'),
    (dict(point_cloud_range=[0, 1]), 'point_cloud_range'),
    (dict(voxel_size=0.3, point_cloud_range=[0, 0, 0, 1, .9, .9]), 'whole'),
    (dict(voxel_size=0.3, point_cloud_range=[0, 0, 0, 0, .9, .9]), 'whole')])
def test_wrong_options(options, words):
    with pytest.raises(ValueError, match=words):
        Pretrain3DDataPreprocessor(**options)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="'voxels'"):
        Pretrain3DDataPreprocessor()(pseudo_collate([sample(0, voxels=torch.ones(1))]))
    broken = sample(1)
    broken['inputs']['points'][3, 1] = np.nan
    with pytest.raises(ValueError, match='cloud1.bin.*finite'):
        Pretrain3DDataPreprocessor(voxel_size=0.3)(pseudo_collate([sample(0), broken]))
