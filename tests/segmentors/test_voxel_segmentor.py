"""The voxel segmentor behind mmdet3d's segmentor contract."""
import pytest
import torch

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample, PointData
from pretrain3d.datasets.sparse_batch import build_sparse_batch, vote_voxel_labels

CLASSES = 3
CONFIG = dict(
    type='VoxelSegmentor',
    backbone=dict(type='SpUNet', in_channels=4, base_channels=4, encoder_channels=(4, 6, 6, 8),
                  encoder_blocks=(1, 1, 1, 1), decoder_channels=(8, 6, 6, 6), decoder_blocks=(1, 1, 1, 1)),
    decode_head=dict(type='SegmentationHead', in_channels=6, num_classes=CLASSES))


def batch(sizes=(120, 0, 75), point_range=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = [torch.rand(n, 4, generator=generator) for n in sizes]
    labels = [torch.randint(0, CLASSES + 1, (n, ), generator=generator) for n in sizes]
    sparse = build_sparse_batch(points, (0.2, 0.2, 0.2), point_range)
    samples = []
    for cloud_labels, voted in zip(labels, vote_voxel_labels(labels, sparse, CLASSES)):
        samples.append(Det3DDataSample())
        samples[-1].gt_pts_seg = PointData(pts_semantic_mask=cloud_labels, voxel_semantic_mask=voted)
    return dict(points=points, voxels=sparse), samples


def build(**config):
    torch.manual_seed(0)
    return MODELS.build(dict(CONFIG, **config))


def test_loss_is_that_of_the_head_on_voxel_labels():
    model, (inputs, samples) = build().eval(), batch()
    losses = model(inputs, samples, mode='loss')
    labels = torch.cat([sample.gt_pts_seg.voxel_semantic_mask for sample in samples])
    logits = model(inputs, samples, mode='tensor')
    assert logits.shape == (len(inputs['voxels']['coors']), CLASSES) and len(labels) == len(logits)
    wanted = torch.nn.functional.cross_entropy(logits, labels, ignore_index=CLASSES)
    assert sorted(losses) == ['loss_ce', 'loss_lovasz']
    assert losses['loss_ce'].item() == pytest.approx(wanted.item(), rel=1e-5)


def test_same_number_of_parameters_as_the_whole_spunet():
    with torch.device('meta'):
        model = MODELS.build(dict(type='VoxelSegmentor', backbone=dict(type='SpUNet', in_channels=6),
                                  decode_head=dict(type='SegmentationHead', in_channels=96, num_classes=20)))
    assert sum(parameter.numel() for parameter in model.parameters()) == 39_157_844


@pytest.mark.parametrize('point_range', [None, (0., 0., 0., 1., 1., 0.6)])
def test_predict_gives_every_point_the_class_of_its_voxel(point_range):
    model, (inputs, samples) = build().eval(), batch(point_range=point_range)
    with torch.no_grad():
        out = model(inputs, samples, mode='predict')
        logits = model(inputs, samples, mode='tensor')
    assert out is samples or all(a is b for a, b in zip(out, samples))
    starts, missing = [], 0
    for b, sample in enumerate(out):
        own = (inputs['voxels']['coors'][:, 0] == b).nonzero().flatten()
        starts.append(own)
        prediction = sample.pred_pts_seg
        assert torch.equal(prediction.voxel_semantic_mask, logits[own].argmax(1))
        assert len(prediction.pts_semantic_mask) == len(inputs['points'][b])
        scores = sample.pts_seg_logits.pts_seg_logits
        assert scores.shape == (CLASSES, len(inputs['points'][b]))
        for i, row in enumerate(inputs['voxels']['point2voxel'][b].tolist()):
            if row < 0:
                missing += 1
                assert prediction.pts_semantic_mask[i] == CLASSES and prediction.point2voxel[i] == -1
                assert not scores[:, i].any()
            else:
                assert own[prediction.point2voxel[i]] == row
                assert prediction.pts_semantic_mask[i] == logits[row].argmax()
                assert torch.equal(scores[:, i], logits[row])
    assert (missing > 0) == (point_range is not None)
    assert [len(own) > 0 for own in starts] == [True, False, True]


def test_logits_can_be_left_out():
    inputs, samples = batch()
    assert 'pts_seg_logits' not in build(keep_logits=False).eval()(inputs, samples, mode='predict')[0]


def test_batch_without_points_trains():
    """The losses are 0 and reach every parameter, as distributed training demands."""
    model, (inputs, samples) = build().train(), batch(sizes=(0, 0))
    losses = model(inputs, samples, mode='loss')
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert all(value.item() == 0 for value in losses.values())
    assert model.eval()(inputs, samples, mode='predict')[0].pred_pts_seg.pts_semantic_mask.shape == (0, )


def test_merges_under_test_time_augmentation():
    """mmdet3d's Seg3DTTAModel reads the logits of every augmentation."""
    model, tta = build().eval(), MODELS.build(dict(type='Seg3DTTAModel', module=dict(CONFIG, _scope_='mmdet3d')))
    views = []
    for seed in range(2):
        inputs, samples = batch()
        inputs['voxels']['voxels'] = inputs['voxels']['voxels'] + 0.3 * seed
        views.append(model(inputs, samples, mode='predict'))
    wanted = sum(view[0].pts_seg_logits.pts_seg_logits.softmax(0) for view in views).argmax(0)
    merged = tta.merge_preds([[view[0] for view in views]])
    assert torch.equal(merged[0].pred_pts_seg.pts_semantic_mask, wanted)


def test_missing_parts_of_a_batch_are_named():
    model, (inputs, samples) = build(), batch()
    with pytest.raises(KeyError, match='voxel_size'):
        model(dict(points=inputs['points']), samples, mode='loss')
    with pytest.raises(KeyError, match='num_classes'):
        model(inputs, [Det3DDataSample() for _ in samples], mode='loss')
