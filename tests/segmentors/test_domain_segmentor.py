"""One segmentor for samples of several domains, beside each domain alone."""
import copy

import pytest
import torch

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample, PointData
from pretrain3d.datasets.sparse_batch import build_sparse_batch, vote_voxel_labels
from pretrain3d.label_spaces import UnknownNameError

NUMBERS = dict(ScanNet=20, S3DIS=13)
SPACES = dict(ScanNet='ScanNet20', S3DIS='S3DIS13')
HEADS = dict(DecoupledHead={}, UnionizedHead={}, LanguageGuidedHead=dict(text_bank='hashed-ngrams'))
BACKBONE = dict(type='SpUNet', in_channels=4, base_channels=4, encoder_channels=(4, 6), encoder_blocks=(1, 1),
                decoder_channels=(6, 6), decoder_blocks=(1, 1))
MIXED = ('S3DIS', 'ScanNet', 'S3DIS')


def build(head='DecoupledHead', spaces=None, **config):
    torch.manual_seed(0)
    spaces = spaces or SPACES
    backbone = dict(type='PromptedBackbone', backbone=copy.deepcopy(BACKBONE), domains=tuple(spaces), zero_init=False,
                    channels=16)
    return MODELS.build(dict(type='DomainSegmentor', backbone=backbone, decode_head=dict(
        type=head, in_channels=6, label_spaces=spaces, **HEADS[head]), **config))


def batch(domains=MIXED, sizes=(120, 60, 75), point_range=None, chosen=None):
    """A batch of the ``chosen`` ones of three clouds."""
    generator = torch.Generator().manual_seed(0)
    points, labels, samples = [], [], []
    for index, (domain, size) in enumerate(zip(domains, sizes)):
        cloud = torch.rand(size, 4, generator=generator)
        label = torch.randint(0, NUMBERS[domain] + 1, (size,), generator=generator)
        if chosen is None or index in chosen:
            points.append(cloud)
            labels.append((domain, label))
            samples.append(Det3DDataSample(metainfo=dict(domain=domain)))
    sparse = build_sparse_batch(points, (0.2, 0.2, 0.2), point_range)
    for i, (sample, (domain, label)) in enumerate(zip(samples, labels)):
        # Of the other samples' labels, which have other numbers, nothing is taken.
        voted = vote_voxel_labels([each.clamp(max=NUMBERS[domain]) for _, each in labels], sparse, NUMBERS[domain])[i]
        sample.gt_pts_seg = PointData(pts_semantic_mask=label, voxel_semantic_mask=voted)
    return dict(points=points, voxels=sparse), samples


@pytest.mark.parametrize('head', HEADS)
def test_mixed_batch_equals_domains_alone(head):
    """The loss is the mean over labelled voxels; predictions of each sample are in its own label space."""
    model = build(head).eval()
    inputs, samples = batch()
    loss = model(inputs, samples, mode='loss')['loss_ce']
    mixed = model(inputs, samples, mode='predict')
    total, count = 0., 0
    for domain, chosen in (('S3DIS', (0, 2)), ('ScanNet', (1,))):
        own_inputs, own = batch(chosen=chosen)
        labels = torch.cat([sample.gt_pts_seg.voxel_semantic_mask for sample in own])
        number = int((labels != NUMBERS[domain]).sum())
        total, count = total + float(model(own_inputs, own, mode='loss')['loss_ce']) * number, count + number
        logits = model(own_inputs, own, mode='tensor')
        assert logits.shape == (len(labels), NUMBERS[domain])
        for index, alone in zip(chosen, model(own_inputs, own, mode='predict')):
            assert mixed[index].pts_seg_logits.pts_seg_logits.shape[0] == NUMBERS[domain]
            assert torch.allclose(mixed[index].pts_seg_logits.pts_seg_logits, alone.pts_seg_logits.pts_seg_logits,
                                  atol=1e-4)
            for key in ('voxel_semantic_mask', 'point2voxel'):
                assert torch.equal(mixed[index].pred_pts_seg[key], alone.pred_pts_seg[key])
    assert float(loss) == pytest.approx(total / count, rel=1e-4)


@pytest.mark.parametrize('point_range', [None, (0., 0., 0., 1., 1., 0.6)])
def test_predictions_equal_voxel_segmentor_on_one_domain(point_range):
    """The same model without domains, also for points outside of the range and empty samples."""
    model = build(spaces=dict(S3DIS='S3DIS13')).eval()
    plain = MODELS.build(dict(type='VoxelSegmentor', backbone=BACKBONE, decode_head=dict(
        type='DecoupledHead', in_channels=6, label_spaces='S3DIS13'))).eval()
    plain.backbone, plain.decode_head = model.backbone, model.decode_head
    inputs, samples = batch(('S3DIS',) * 3, (120, 0, 75), point_range)
    with torch.no_grad():
        ours = [copy.deepcopy(sample) for sample in model(inputs, samples, mode='predict')]
        theirs = plain(inputs, samples, mode='predict')
    for mine, other in zip(ours, theirs):
        for key in ('pts_semantic_mask', 'voxel_semantic_mask', 'point2voxel'):
            assert torch.equal(mine.pred_pts_seg[key], other.pred_pts_seg[key])
        assert torch.equal(mine.pts_seg_logits.pts_seg_logits, other.pts_seg_logits.pts_seg_logits)
    assert model(inputs, samples, mode='loss')['loss_ce'].item() == pytest.approx(
        plain(inputs, samples, mode='loss')['loss_ce'].item(), rel=1e-5)


def test_a_step_trains_everything():
    model = build('LanguageGuidedHead').train()
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    loss, _ = model.parse_losses(model(*batch(), mode='loss'))
    loss.backward()
    optimiser.step()
    assert torch.isfinite(loss) and all(
        not torch.equal(before[name], parameter) for name, parameter in model.named_parameters())


def test_bad_domains():
    model = build()
    inputs, samples = batch()
    samples[1].set_metainfo(dict(domain='S3DI'))
    for mode in ('loss', 'predict'):
        with pytest.raises(UnknownNameError, match="'S3DI'; did you mean 'S3DIS'.*ScanNet, S3DIS"):
            model(inputs, samples, mode=mode)
    nameless = [Det3DDataSample() for _ in samples]
    with pytest.raises(UnknownNameError, match='which domain'):
        model(inputs, nameless, mode='predict')
    assert len(build(domain='S3DIS')(inputs, nameless, mode='predict')) == 3
    with pytest.raises(UnknownNameError, match="'Waymo'"):
        build(domain='Waymo')
    with pytest.raises(ValueError, match='other numbers of classes'):
        model(*batch(), mode='tensor')
    with pytest.raises(KeyError, match='voxel_size'):
        model(dict(points=[]), samples[:1], mode='loss')
