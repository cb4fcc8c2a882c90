import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from info_frames import CATEGORIES, frame, info_file, instance, street
from ranks import run_ranks

import pretrain3d  # noqa: F401  (registers the metric)
from mmdet3d.registry import METRICS
from mmdet3d.structures import CameraInstance3DBoxes, LiDARInstance3DBoxes

# The order of mmdet3d's CenterPoint configs, which is not the order of the info file.
CLASSES = ('car', 'truck', 'construction_vehicle', 'bus', 'trailer', 'barrier', 'motorcycle', 'bicycle', 'pedestrian',
           'traffic_cone')
NAMES = {label: name for name, label in CATEGORIES.items()}
REAL = sorted((Path(__file__).resolve().parents[3] / 'shared' / 'real' / 'nuscenes_frame').glob('*.pkl'))


@pytest.fixture
def evaluate(tmp_path):
    """evaluate(frames, samples, classes=CLASSES, size=None, **metric arguments) -> metrics."""
    def run(frames, samples, classes=CLASSES, size=None, content=None, **kwargs):
        path = tmp_path / 'infos.pkl'
        path.write_bytes(pickle.dumps(info_file(frames) if content is None else content))
        metric = METRICS.build(dict(type='NuScenesInfoMetric', ann_file=str(path), **kwargs))
        metric.dataset_meta = dict(classes=classes)
        for sample in samples:
            metric.process({}, [sample])
        return metric.evaluate(len(samples) if size is None else size)
    return run


def sample(info, boxes=None, labels=None, scores=None, index=0, box_dim=9):
    """A prediction as mmdet3d's evaluator hands it over; by default the truth of ``info`` itself.

    ``boxes`` are by their centre; ``LiDARInstance3DBoxes`` moves them to the centre of the bottom face.
    """
    instances = info['instances']
    if boxes is None:
        boxes = [one['bbox_3d'] + list(one['velocity']) for one in instances]
    if labels is None:
        labels = [CLASSES.index(NAMES[one['bbox_label_3d']]) for one in instances]
    boxes = torch.tensor(np.array(boxes, dtype=np.float64).reshape(-1, 9)[:, :box_dim]).float()
    scores = torch.linspace(0.9, 0.3, len(boxes)) if scores is None else torch.tensor(scores)
    return dict(sample_idx=index, lidar_path='/data/' + info['lidar_points']['lidar_path'], pred_instances_3d=dict(
        bboxes_3d=LiDARInstance3DBoxes(boxes, box_dim=box_dim, origin=(0.5, 0.5, 0.5)),
        labels_3d=torch.tensor(labels, dtype=torch.long), scores_3d=scores))


def truth_table(info):
    return np.array([one['bbox_3d'] + list(one['velocity']) for one in info['instances']])


def test_truth_as_prediction_is_perfect(evaluate):
    frames = [street('a', seed=1), street('b', seed=2)]
    metrics = evaluate(frames, [sample(frames[0]), sample(frames[1], index=1)], min_points=(1, 5))
    for name in CLASSES:
        assert metrics[f'NuScenesInfo/AP_{name}'] == pytest.approx(1.0)
        assert metrics[f'NuScenesInfo/AP_min5_{name}'] == pytest.approx(1.0)
    assert metrics['NuScenesInfo/mAP'] == metrics['NuScenesInfo/mAP_min5'] == pytest.approx(1.0)
    for error in ('mATE', 'mASE', 'mAOE', 'mAVE'):
        assert metrics[f'NuScenesInfo/{error}'] == pytest.approx(0.0, abs=1e-5)
    assert not any('NDS' in key or 'AAE' in key for key in metrics)


@pytest.mark.parametrize('shift, levels', [(0.3, 4), (0.7, 3), (1.2, 2), (3.0, 1), (4.5, 0)])
def test_shifted_boxes_pass_the_thresholds_they_should(evaluate, shift, levels):
    """Boxes of one class stand at least 10 m apart, so a shift decides each threshold alone."""
    info = frame('a', [instance('car', (x, y, 0, 4.5, 2, 1.5, 0.3)) for x in (-20, -8, 8, 20) for y in (-20, 0, 20)])
    boxes = truth_table(info)
    angle = np.arange(len(boxes))
    boxes[:, 0] += shift * np.cos(angle)
    boxes[:, 1] += shift * np.sin(angle)
    metrics = evaluate([frame('a', info['instances'], tilt=0.0)], [sample(info, boxes)])
    assert metrics['NuScenesInfo/mAP'] == pytest.approx(levels / 4)
    expected = shift if shift < 2 else 1.0  # without a match at 2 m the devkit says 1
    assert metrics['NuScenesInfo/mATE'] == pytest.approx(expected, abs=1e-4)


def test_turned_stretched_and_slowed_boxes(evaluate):
    info = frame('a', [instance('car', (x, 10, 0, 4, 2, 1.5, 0.5 * x), velocity=(3, 1)) for x in (-20, -5, 9)], tilt=0)
    boxes = truth_table(info)
    boxes[:, 6] += 0.2
    boxes[:, 3] *= 2
    boxes[:, 7:9] = (3.0, 1.5)
    metrics = evaluate([info], [sample(info, boxes)])
    assert metrics['NuScenesInfo/mAP'] == pytest.approx(1)
    assert metrics['NuScenesInfo/mAOE'] == pytest.approx(0.2, abs=1e-5)
    assert metrics['NuScenesInfo/mASE'] == pytest.approx(0.5, abs=1e-5)
    assert metrics['NuScenesInfo/mAVE'] == pytest.approx(0.5, abs=1e-5)
    assert metrics['NuScenesInfo/mATE'] == pytest.approx(0, abs=1e-5)
    halfway = truth_table(info)
    halfway[:, 6] += np.pi  # the wrong way round, which no symmetric box shows otherwise
    assert evaluate([info], [sample(info, halfway)])['NuScenesInfo/mAOE'] == pytest.approx(np.pi, abs=1e-4)


def test_bottom_centre_is_not_the_centre():
    """What process() stores are centres again, whatever the tensor holds."""
    info = frame('a', [instance('car', (10, 0, 0.5, 4, 2, 1.5, 0.3))])
    metric = METRICS.build(dict(type='NuScenesInfoMetric', ann_file='unused.pkl'))
    given = sample(info)
    assert given['pred_instances_3d']['bboxes_3d'].tensor[0, 2] == pytest.approx(-0.25)
    metric.process({}, [given])
    np.testing.assert_allclose(metric.results[0]['boxes'], truth_table(info), atol=1e-6)


def test_nothing_predicted_and_nothing_true(evaluate):
    info, bare = street(), frame('b', [])
    nothing = sample(info, np.zeros((0, 9)), [])
    assert evaluate([info], [nothing])['NuScenesInfo/mAP'] == 0
    assert evaluate([bare], [sample(bare)])['NuScenesInfo/mAP'] == 0
    both = evaluate([info, bare], [sample(info), sample(bare, index=1)])
    assert both['NuScenesInfo/mAP'] == pytest.approx(1)


def test_broken_boxes_are_left_out_and_counted(evaluate, caplog):
    info = street()
    boxes = np.concatenate([truth_table(info), np.tile([5.0, 5, 0, 1, 1, 1, 0, 0, 0], (4, 1))])
    boxes[-4, 0], boxes[-3, 6], boxes[-2, 3], boxes[-1, 4] = np.nan, np.inf, -1.0, 0.0
    labels = [CLASSES.index(NAMES[one['bbox_label_3d']]) for one in info['instances']] + [0] * 4
    import logging

    from mmengine.logging import MMLogger
    logger = MMLogger.get_instance('broken_boxes')  # the current one from here on
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.WARNING):
        metrics = evaluate([info], [sample(info, boxes, labels)])
    assert metrics['NuScenesInfo/mAP'] == pytest.approx(1)
    assert '4 predicted boxes' in caplog.text


def test_boxes_without_velocity(evaluate):
    info = frame('a', [instance('car', (10, 0, 0, 4, 2, 1.5, 0))])
    metrics = evaluate([info], [sample(info, box_dim=7)])
    assert metrics['NuScenesInfo/mAP'] == pytest.approx(1) and metrics['NuScenesInfo/mAVE'] == 1


def test_frames_are_found_by_file_and_repeats_count_once(evaluate):
    frames = [street(token, seed=seed) for seed, token in enumerate('abc')]
    # A subset of the file in another order, and one frame twice, as a distributed sampler pads.
    chosen = [sample(frames[2], index=0), sample(frames[1], index=1), sample(frames[2], index=2)]
    assert evaluate(frames, chosen)['NuScenesInfo/mAP'] == pytest.approx(1)
    # Truncated to the dataset's size, so the padding goes.
    assert evaluate(frames, chosen, size=2)['NuScenesInfo/mAP'] == pytest.approx(1)
    for one, index in zip(chosen, (2, 1, 2)):
        del one['lidar_path']
        one['sample_idx'] = index
    assert evaluate(frames, chosen)['NuScenesInfo/mAP'] == pytest.approx(1)


def test_many_boxes_keep_the_best(evaluate):
    info = frame('a', [instance('car', (10, 0, 0, 4, 2, 1.5, 0))])
    boxes = np.tile(truth_table(info), (700, 1))
    boxes[:, 0] = -40
    boxes[650, 0] = 10
    scores = np.linspace(0.5, 0.1, 700)
    scores[650] = 0.9
    metrics = evaluate([info], [sample(info, boxes, [0] * 700, scores)])
    # The 499 misses that stay only touch the devkit's last recall bin of 90.
    assert metrics['NuScenesInfo/mAP'] == pytest.approx(89 / 90, abs=1e-3)


def test_attributes_bring_nds(evaluate):
    still = instance('car', (10, 0, 0, 4, 2, 1.5, 0), attribute_name='vehicle.parked')
    moving = instance('car', (-10, 0, 0, 4, 2, 1.5, 0), velocity=(5, 0), attribute_name='vehicle.moving')
    info = frame('a', [still, moving])
    metrics = evaluate([info], [sample(info)])
    assert metrics['NuScenesInfo/mAAE'] == 0
    assert metrics['NuScenesInfo/NDS'] == pytest.approx(1, abs=1e-5)
    wrong = copy.deepcopy(info)
    wrong['instances'][0]['attribute_name'] = 'vehicle.stopped'
    assert evaluate([wrong], [sample(info)])['NuScenesInfo/mAAE'] > 0.4


def test_the_logged_table(evaluate, caplog):
    import logging

    from mmengine.logging import MMLogger
    logger = MMLogger.get_instance('table')
    logger.addHandler(caplog.handler)
    info = street()
    with caplog.at_level(logging.INFO):
        evaluate([info], [sample(info)], min_points=(1, 5))
    assert 'AP@0.5m' in caplog.text and 'pedestrian' in caplog.text and '>= 5 point(s)' in caplog.text


def test_clear_errors(evaluate):
    info = street()
    with pytest.raises(ValueError, match="'cars'; did you mean 'car'"):
        evaluate([info], [sample(info)], classes=('cars', ) + CLASSES[1:])
    with pytest.raises(ValueError, match='v1.1 info file.*update_infos_to_v2'):
        evaluate([], [sample(info)], content=dict(infos=[], metadata={}))
    with pytest.raises(ValueError, match='b.bin was predicted but is not in'):
        evaluate([info], [sample(street('b'))])
    with pytest.raises(ValueError, match='sample_idx 7'):
        evaluate([info], [dict(sample(info, index=7), lidar_path=None)])
    with pytest.raises(ValueError, match='min_points'):
        evaluate([info], [sample(info)], min_points=0)
    other = sample(info)
    other['pred_instances_3d']['bboxes_3d'] = CameraInstance3DBoxes(torch.ones(1, 9), box_dim=9)
    with pytest.raises(TypeError, match='CameraInstance3DBoxes'):
        evaluate([info], [other])


def half_of_the_frames(rank, world_size, path):
    """One rank predicts half of the frames; rank 1 also gets a padded repeat."""
    frames = [street(token, seed=seed) for seed, token in enumerate('abc')]
    metric = METRICS.build(dict(type='NuScenesInfoMetric', ann_file=path))
    metric.dataset_meta = dict(classes=CLASSES)
    for index in ((0, 2), (1, 0))[rank]:
        boxes = truth_table(frames[index])
        boxes[:, 0] += 0.7
        metric.process({}, [sample(frames[index], boxes, index=index)])
    return metric.evaluate(3)


def test_two_processes_equal_one(evaluate, tmp_path):
    frames = [street(token, seed=seed) for seed, token in enumerate('abc')]
    shifted = []
    for index, info in enumerate(frames):
        boxes = truth_table(info)
        boxes[:, 0] += 0.7
        shifted.append(sample(info, boxes, index=index))
    alone = evaluate(frames, shifted)
    results = run_ranks(f'{__file__}:half_of_the_frames', 2, tmp_path, path=str(tmp_path / 'infos.pkl'))
    assert 0 < alone['NuScenesInfo/mAP'] < 1
    for result in results:
        np.testing.assert_equal(result, alone)


@pytest.mark.skipif(not REAL, reason='the nuScenes frame is not in ../shared/real/nuscenes_frame')
def test_truth_of_the_real_frame_is_perfect(evaluate):
    content = pickle.loads(REAL[0].read_bytes())
    info = content['data_list'][0]
    # Boxes without points are no truth for the devkit, so finding them would count as mistakes.
    seen = dict(info, instances=[one for one in info['instances']
                                 if one['num_lidar_pts'] + one['num_radar_pts'] and one['bbox_label_3d'] >= 0])
    boxes = np.nan_to_num(truth_table(seen))  # unknown velocities; a network does not predict NaN
    metrics = evaluate([], [sample(seen, boxes)], content=content, min_points=(1, 5))
    # Counted by hand from the info file: what lies within the devkit's range of its class.
    assert {key.split('AP_')[1] for key in metrics if '/AP_' in key and 'min5' not in key} == {
        'car', 'truck', 'pedestrian', 'barrier', 'traffic_cone'}
    assert metrics['NuScenesInfo/mAP'] == metrics['NuScenesInfo/mAP_min5'] == pytest.approx(1)
    assert metrics['NuScenesInfo/mATE'] == pytest.approx(0, abs=1e-3)  # 1 km from the origin, in float32
    assert metrics['NuScenesInfo/mAOE'] == pytest.approx(0, abs=1e-5)
