"""Scores of several domains in one run beside those of each alone."""
import numpy as np
import pytest
import torch
from test_seg_metric import sample

import pretrain3d  # noqa: F401
from mmdet3d.registry import METRICS
from pretrain3d.evaluation.seg_metric import MeanIoUMetric
from pretrain3d.label_spaces import UnknownNameError, get_label_space

SPACES = dict(ScanNet='ScanNet20', S3DIS='S3DIS13', Structured3D='Structured3D25')


def scans(seed, domains):
    rng = np.random.default_rng(seed)
    found = []
    for domain in domains:
        classes = len(get_label_space(SPACES[domain]).classes)
        found.append(dict(sample(rng.integers(0, classes + 1, 80), rng.integers(0, classes, 80)), domain=domain))
    return found


def build(**config):
    return METRICS.build(dict(dict(type='DomainMeanIoUMetric', label_spaces=SPACES), **config))


def evaluate(metric, samples):
    for start in range(0, len(samples), 2):
        metric.process(None, samples[start:start + 2])
    return metric.evaluate(len(samples))


def test_each_domain_scores_as_it_does_alone():
    samples = scans(0, ['ScanNet', 'S3DIS', 'Structured3D', 'ScanNet', 'S3DIS', 'S3DIS'])
    scores = evaluate(build(), samples)
    count, means = 0, []
    for domain, space in SPACES.items():
        alone = MeanIoUMetric()
        alone.dataset_meta = dict(classes=get_label_space(space).classes)
        own = [one for one in samples if one['domain'] == domain]
        wanted = evaluate(alone, own)
        assert {key: scores[f'{domain}/{key}'] for key in wanted} == wanted
        count += len(wanted)
        means.append(wanted['miou/vertex'])
    assert scores['mean/miou/vertex'] == pytest.approx(np.mean(means), rel=1e-12)
    assert len(scores) == count + 3 and len(set(means)) == 3


def test_a_domain_without_samples_is_left_out_of_the_mean():
    scores = evaluate(build(), scans(1, ['ScanNet', 'S3DIS']))
    assert scores['mean/macc/vertex'] == pytest.approx(
        (scores['ScanNet/macc/vertex'] + scores['S3DIS/macc/vertex']) / 2, rel=1e-12)
    assert not any(key.startswith('Structured3D') for key in scores)


def test_labels_in_the_order_of_a_dataset():
    names = tuple(reversed(get_label_space('S3DIS13').classes))
    metric = build(label_spaces=dict(S3DIS='S3DIS13'), classes=dict(S3DIS=names))
    scores = evaluate(metric, [dict(sample([0, 1], [0, 0]), domain='S3DIS')])
    assert scores[f'S3DIS/iou_vertex/{names[0]}'] == 0.5


def test_confusion_matrices_of_each_domain_are_kept(tmp_path):
    evaluate(build(dump=str(tmp_path / '{domain}.json')), scans(0, ['ScanNet', 'S3DIS']))
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(ValueError, match=r'\{domain\}'):
        build(dump='all.json')


def test_errors():
    with pytest.raises(UnknownNameError, match="'Scannet'.*'ScanNet'.*scene.bin.*PackPretrain3DInputs"):
        build().process(None, [dict(sample([0], [0]), domain='Scannet')])
    with pytest.raises(UnknownNameError, match='None'):
        build().process(None, [sample([0], [0])])
    with pytest.raises(ValueError, match="none of them 'mean'"):
        build(label_spaces=dict(mean='ScanNet20'))
    with pytest.raises(UnknownNameError, match="'nuScenes'"):
        build(classes=dict(nuScenes=['car']))
    with pytest.raises(ValueError, match=r'scene.bin.*labels lie in'):
        build().process(None, [dict(sample([14, 0], torch.zeros(2)), domain='S3DIS')])
