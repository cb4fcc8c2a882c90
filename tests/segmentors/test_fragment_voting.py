"""Voting over fragments behind mmdet3d's test-time augmentation, beside an explicit loop."""
import copy
import math
from pathlib import Path

import pytest
import torch

import pretrain3d  # noqa: F401
from mmengine.registry import init_default_scope
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample, PointData

SIZE, RANGE = 0.2, [-0.5, -0.6, 0.1, 0.7, 0.6, 0.9]
META = dict(classes=tuple(f'class {i}' for i in range(13)))
BACKBONE = dict(type='SpUNet', in_channels=6, base_channels=4, encoder_channels=(4, 6), encoder_blocks=(1, 1),
                decoder_channels=(6, 6), decoder_blocks=(1, 1))
AUGMENTATIONS = [dict(), dict(angle=90, scale=0.95), dict(angle=30, flip='x'), dict(flip='xy')]


def build(kind='VoxelSegmentor', range_=None, **config):
    """A tiny segmentor in a voting wrapper; domains have other norms, so that a wrong one would be seen."""
    init_default_scope('mmdet3d')  # as a config's default_scope does
    torch.manual_seed(0)
    module = dict(type=kind, data_preprocessor=dict(
        type='Pretrain3DDataPreprocessor', voxel_size=SIZE, point_cloud_range=range_, feature_dims=[3, 4, 5, 6, 7, 8]))
    if kind == 'VoxelSegmentor':
        module.update(backbone=BACKBONE, decode_head=dict(type='SegmentationHead', in_channels=6, num_classes=13))
    else:
        module.update(
            backbone=dict(type='PromptedBackbone', backbone=copy.deepcopy(BACKBONE), domains=('ScanNet', 'S3DIS'),
                          zero_init=False, channels=16),
            decode_head=dict(type='DecoupledHead', in_channels=6,
                             label_spaces=dict(ScanNet='ScanNet20', S3DIS='S3DIS13')))
    model = MODELS.build(dict(dict(type='FragmentVoting', module=module, augmentations=AUGMENTATIONS,
                                   vector_columns=[6, 7, 8]), **config)).eval()
    for parameter in model.module.decode_head.parameters():
        parameter.data.mul_(500)  # an untrained head hardly prefers any class
    return model


def scan(seed=0, domains=('S3DIS', ), sizes=(90, )):
    """What the data loader gives."""
    generator = torch.Generator().manual_seed(seed)
    points, samples = [], []
    for domain, size in zip(domains, sizes):
        points.append(torch.rand(size, 9, generator=generator) * 1.3 - 0.4)
        samples.append(Det3DDataSample(metainfo=dict(domain=domain, lidar_path=f'{domain}{seed}.bin')))
        labels = torch.randint(0, 14, (size, ), generator=generator)
        samples[-1].gt_pts_seg = PointData(pts_semantic_mask=labels)
        samples[-1].eval_ann_info = dict(pts_semantic_mask=labels.numpy())
    return dict(inputs=dict(points=points), data_samples=samples)


def slowly(model, points, sample, range_=None):
    """Summed scores of every point, fragments gathered point by point."""
    total, low = None, (range_ or [0., 0., 0.])[:3]
    for augmentation in model.augmentations:
        moved = augmentation.apply(points, (6, 7, 8))
        voxels = {}
        for i, point in enumerate(moved.double().tolist()):
            voxels.setdefault(tuple(math.floor((p - o) / SIZE) for p, o in zip(point, low)), []).append(i)
        for i in range(max(map(len, voxels.values()))):
            rows = [members[i % len(members)] for members in voxels.values()]
            data = dict(inputs=dict(points=[moved[rows]]), data_samples=[Det3DDataSample(metainfo=sample.metainfo)])
            logits = model.module.test_step(data)[0].pts_seg_logits.pts_seg_logits.double()
            total = torch.zeros(len(points), len(logits), dtype=torch.float64) if total is None else total
            for row, scores in zip(rows, logits.softmax(0).T):
                inside = range_ is None or all(range_[a] <= moved[row, a] < range_[a + 3] for a in range(3))
                total[row] += scores * inside
    return total


@pytest.mark.parametrize('range_', [None, RANGE])
@pytest.mark.parametrize('kind', ['VoxelSegmentor', 'DomainSegmentor'])
@torch.no_grad()
def test_predictions_are_the_largest_sums(kind, range_):
    """Of each sample of a batch, in the label space of its domain; a point that was never seen has no class."""
    model, data = build(kind, range_), scan(1, ('ScanNet', 'S3DIS'), (110, 60))
    samples = model.test_step(copy.deepcopy(data))
    for i, sample in enumerate(samples):
        total = slowly(model, data['inputs']['points'][i], data['data_samples'][i], range_)
        assert total.shape[1] == (20 if kind == 'DomainSegmentor' and i == 0 else 13)
        wanted = total.argmax(1).where(total.amax(1) > 0, torch.tensor(total.shape[1]))
        clear = total.topk(2)[0].diff().abs()[:, 0] > 1e-4
        clear |= total.amax(1) == 0
        assert clear.float().mean() > 0.9
        found = sample.pred_pts_seg
        assert torch.equal(found.pts_semantic_mask[clear], wanted[clear])
        assert (wanted == total.shape[1]).any() == (range_ is not None)
        assert (found.point2voxel >= 0).all() == (range_ is None)
        assert int(found.point2voxel.max()) + 1 == len(found.voxel_semantic_mask)
        assert torch.equal(sample.gt_pts_seg.pts_semantic_mask, data['data_samples'][i].gt_pts_seg.pts_semantic_mask)


@torch.no_grad()
def test_one_augmentation_and_one_point_a_voxel_is_plain_prediction():
    model, data = build('DomainSegmentor', augmentations='none'), scan(2)
    from pretrain3d.ops.voxelize import voxelize
    points = data['inputs']['points'][0]
    data['inputs']['points'] = [points[voxelize(points[:, :3], SIZE).first]]
    plain = model.module.test_step(copy.deepcopy(data))[0].pred_pts_seg
    voted = model.test_step(data)[0].pred_pts_seg
    assert torch.equal(plain.pts_semantic_mask, voted.pts_semantic_mask)
    assert torch.equal(plain.voxel_semantic_mask[plain.point2voxel], voted.voxel_semantic_mask[voted.point2voxel])


@torch.no_grad()
def test_more_fragments_at_once_change_nothing():
    first = build().test_step(scan(3))[0].pred_pts_seg.pts_semantic_mask
    assert torch.equal(first, build().test_step(scan(3))[0].pred_pts_seg.pts_semantic_mask)
    other = build(fragments_per_batch=4).test_step(scan(3))[0].pred_pts_seg.pts_semantic_mask
    assert (first == other).float().mean() > 0.98  # sums of other batches differ by rounding


@torch.no_grad()
def test_a_model_that_drops_logits_keeps_those_of_fragments():
    plain = build()
    plain.module.keep_logits = False
    sample = MODELS.build(dict(type='FragmentVoting', module=plain.module, augmentations=AUGMENTATIONS,
                               vector_columns=[6, 7, 8])).test_step(scan(6))[0]
    wanted = build().test_step(scan(6))[0].pred_pts_seg.pts_semantic_mask
    assert torch.equal(sample.pred_pts_seg.pts_semantic_mask, wanted) and 'pts_seg_logits' not in sample


@torch.no_grad()
def test_an_empty_cloud_has_no_predictions():
    sample = build().test_step(scan(sizes=(0, )))[0]
    assert len(sample.pred_pts_seg.pts_semantic_mask) == 0


def test_two_ranks_score_as_one(tmp_path):
    from ranks import run_ranks
    from voting_ranks import score
    first, second = run_ranks(f'{Path(__file__).parent}/voting_ranks.py:score', 2, tmp_path, scans=4)
    alone = score(0, 1, 4)
    assert {'miou/vertex', 'miou/voxel'} < set(alone)
    assert first == second == pytest.approx(alone)


def test_the_hook_wraps_a_trained_model():
    from mmengine.registry import HOOKS
    hook = HOOKS.build(dict(type='PrepareTTAHook', tta_cfg=dict(type='FragmentVoting', vector_columns=[6, 7, 8])))
    runner = type('Runner', (), dict(model=build().module))()
    module = runner.model
    hook.before_test(runner)
    assert type(runner.model).__name__ == 'FragmentVoting' and runner.model.module is module
    assert len(runner.model.augmentations) == 13


def test_weights_of_the_segmentor_load_into_the_wrapper(tmp_path):
    from mmengine.runner import load_checkpoint
    trained, fresh = build(), build()
    for parameter in trained.module.parameters():
        parameter.data.add_(1)
    torch.save(dict(state_dict=trained.module.state_dict()), tmp_path / 'weights.pth')
    load_checkpoint(fresh, str(tmp_path / 'weights.pth'), strict=True)
    assert all(torch.equal(mine, other) for mine, other in zip(trained.parameters(), fresh.parameters()))


@pytest.mark.parametrize('config, message', [
    (dict(augmentations='outdoor'), "'indoor', 'none', 's3dis'.*'outdoor'"), (dict(augmentations=[]), 'at least one'),
    (dict(augmentations=[dict(scale=-1)]), 'scale=-1'), (dict(fragments_per_batch=0), 'fragments_per_batch'),
    (dict(vector_columns=[3]), 'three columns')])
def test_bad_settings(config, message):
    with pytest.raises(ValueError, match=message):
        build(**config)


def test_bad_models_and_inputs():
    model = build()
    model.module.data_preprocessor.voxel_size = None
    with pytest.raises(ValueError, match='set voxel_size'):
        MODELS.build(dict(type='FragmentVoting', module=model.module))
    with pytest.raises(ValueError, match="also hold \\['img'\\]"):
        build().test_step(dict(inputs=dict(points=[], img=[]), data_samples=[]))
    with pytest.raises(ValueError, match='tta_pipeline = test_pipeline'):  # TestTimeAug's output
        build().test_step(dict(inputs=dict(points=[[torch.zeros(1, 9)]]), data_samples=[[]]))
    with pytest.raises(NotImplementedError):
        build().merge_preds([])


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
@torch.no_grad()
def test_a_gpu_votes_alike():
    here = build('DomainSegmentor').test_step(scan(5))[0].pred_pts_seg.pts_semantic_mask
    there = [build('DomainSegmentor').cuda().test_step(scan(5))[0].pred_pts_seg.pts_semantic_mask for _ in range(2)]
    assert torch.equal(*there) and (here == there[0].cpu()).float().mean() > 0.98
