import numpy as np
import pytest
from nuscenes.eval.common.data_classes import EvalBoxes
from nuscenes.eval.detection.config import config_factory
from nuscenes.eval.detection.data_classes import DetectionBox
from nuscenes.eval.detection.evaluate import DetectionEval

from pretrain3d.evaluation.det_scores import ERRORS, drop_matched_to_faint, score_detections, within_range

CONFIG = config_factory('detection_cvpr_2019')
CLASSES = list(CONFIG.class_names)


def box(name='car', x=5.0, y=0.0, score=-1.0, points=10, size=(2.0, 4.0, 1.5), yaw=0.0, velocity=(0.0, 0.0),
        token='a', attribute=''):
    return DetectionBox(sample_token=token, translation=(x, y, 0.0), size=size,
                        rotation=(np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)), velocity=velocity,
                        ego_translation=(x, y, 0.0), num_pts=points if score < 0 else -1, detection_name=name,
                        detection_score=score, attribute_name=attribute)


def random_scene(seed, frames=3, attributes=False):
    """Truth of all classes and noisy, partly wrong predictions."""
    rng = np.random.default_rng(seed)
    truth, predictions = {}, {}
    for token in map(str, range(frames)):
        truth[token], predictions[token] = [], []
        for _ in range(40):
            name = CLASSES[rng.integers(len(CLASSES))]
            x, y = rng.uniform(-60, 60, 2)
            kind = ['vehicle.moving', 'vehicle.parked'][rng.integers(2)] if attributes and name == 'car' else ''
            truth[token].append(box(name, x, y, points=int(rng.integers(0, 8)), yaw=rng.uniform(-3, 3), token=token,
                                    velocity=tuple(rng.normal(size=2)), attribute=kind))
            if rng.random() < 0.8:
                guess = ['vehicle.moving', 'vehicle.parked'][rng.integers(2)] if attributes and name == 'car' else ''
                predictions[token].append(box(
                    name, x + rng.normal(), y + rng.normal(), score=float(rng.random()), yaw=rng.uniform(-3, 3),
                    size=tuple(rng.uniform(1, 4, 3)), velocity=tuple(rng.normal(size=2)), token=token,
                    attribute=guess))
        predictions[token] += [box(CLASSES[rng.integers(10)], *rng.uniform(-60, 60, 2), score=float(rng.random()),
                                   token=token) for _ in range(15)]
    return truth, predictions


def devkit(truth, predictions):
    """The devkit's own evaluation loop, on an object made without its database."""
    evaluation = DetectionEval.__new__(DetectionEval)
    evaluation.cfg, evaluation.verbose = CONFIG, False
    evaluation.gt_boxes, evaluation.pred_boxes = EvalBoxes(), EvalBoxes()
    for token in truth:
        evaluation.gt_boxes.add_boxes(token, [one for one in truth[token] if one.num_pts != 0 and
                                              one.ego_dist < CONFIG.class_range[one.detection_name]])
        evaluation.pred_boxes.add_boxes(token, [one for one in predictions[token]
                                                if one.ego_dist < CONFIG.class_range[one.detection_name]])
    return evaluation.evaluate()[0]


@pytest.mark.parametrize('seed', range(3))
def test_equals_the_devkits_evaluation(seed):
    truth, predictions = random_scene(seed, attributes=True)
    ours, theirs = score_detections(truth, predictions, CONFIG, CLASSES, attributes=True), devkit(truth, predictions)
    assert set(ours.ap) == set(CLASSES)  # all present, so the means are the same too
    assert ours.mean_ap == theirs.mean_ap and 0.05 < ours.mean_ap < 0.95
    assert ours.nds == theirs.nd_score
    for short, error in ERRORS.items():
        assert ours.mean_errors[f'm{short}'] == pytest.approx(theirs.tp_errors[error], abs=1e-12)
        for name in CLASSES:
            np.testing.assert_equal(ours.errors[name][short], theirs.get_label_tp(name, error))
    for name in CLASSES:
        assert ours.ap[name] == {distance: theirs.get_label_ap(name, distance) for distance in CONFIG.dist_ths}


def test_absent_classes_stay_out_of_the_means():
    truth = {'a': [box('car'), box('pedestrian', 8)]}
    predictions = {'a': [box('car', score=0.9), box('pedestrian', 8, score=0.9), box('bus', 20, score=0.9)]}
    scores = score_detections(truth, predictions, CONFIG, CLASSES)
    assert list(scores.ap) == ['car', 'pedestrian'] and scores.mean_ap == pytest.approx(1.0)
    assert 'mAAE' not in scores.mean_errors and scores.nds is None
    assert devkit(truth, predictions).mean_ap == pytest.approx(0.2)  # what the devkit says of the same boxes


def test_classes_of_the_dataset_decide():
    truth = {'a': [box('car'), box('pedestrian', 8)]}
    scores = score_detections(truth, {'a': [box('car', score=0.5)]}, CONFIG, ['car'])
    assert list(scores.ap) == ['car'] and scores.mean_ap == pytest.approx(1.0)


def test_no_truth_and_no_predictions():
    empty = score_detections({'a': []}, {'a': [box(score=0.5)]}, CONFIG, CLASSES)
    assert empty.mean_ap == 0 and empty.ap == {} and np.isnan(empty.mean_errors['mATE'])
    missed = score_detections({'a': [box()]}, {'a': []}, CONFIG, CLASSES)
    assert missed.mean_ap == 0 and missed.mean_errors == dict(mATE=1, mASE=1, mAOE=1, mAVE=1)
    assert score_detections({}, {}, CONFIG, CLASSES).mean_ap == 0


def test_range_is_half_open_and_by_class():
    near, far = box('barrier', 29.999, score=0.5), box('barrier', 30.0, score=0.5)
    assert within_range({'a': [near, far, box('car', 30.0)], 'b': []}, CONFIG) == {
        'a': [near, box('car', 30.0)], 'b': []}


def test_undefined_errors():
    truth = {'a': [box('traffic_cone'), box('barrier', 8)]}
    predictions = {'a': [box('traffic_cone', score=0.9), box('barrier', 8, score=0.9, yaw=np.pi)]}
    scores = score_detections(truth, predictions, CONFIG, CLASSES)
    assert np.isnan([scores.errors['traffic_cone']['AOE'], scores.errors['barrier']['AVE']]).all()
    assert scores.errors['barrier']['AOE'] == pytest.approx(0, abs=1e-9)  # a barrier has no front
    assert np.isnan(scores.mean_errors['mAVE'])


def test_zero_points_never_count_and_faint_truth_is_neither_demanded_nor_punished():
    truth = {'a': [box(x=5, points=9), box(x=15, points=3), box(x=25, points=0)]}
    hits = [box(x=5, score=0.9), box(x=15, score=0.95)]
    ghost = box(x=25, score=0.99)
    devkit_rule = score_detections(truth, {'a': hits}, CONFIG, ['car'])
    assert devkit_rule.num_truth == dict(car=2) and devkit_rule.mean_ap == pytest.approx(1)
    assert score_detections(truth, {'a': hits + [ghost]}, CONFIG, ['car']).mean_ap < 0.8
    # From five points on only the first is demanded, and finding the second is no mistake.
    strict = score_detections(truth, {'a': hits}, CONFIG, ['car'], min_points=5)
    assert strict.num_truth == dict(car=1) and strict.mean_ap == pytest.approx(1)
    assert score_detections(truth, {'a': hits[:1]}, CONFIG, ['car'], min_points=5).mean_ap == pytest.approx(1)
    assert score_detections(truth, {'a': hits[1:]}, CONFIG, ['car'], min_points=5).mean_ap == 0
    # A second prediction on the faint box is a mistake, as everywhere.
    twice = hits + [box(x=15.1, score=0.97)]
    assert score_detections(truth, {'a': twice}, CONFIG, ['car'], min_points=5).mean_ap < 0.8


@pytest.mark.parametrize('seed', range(4))
def test_dropping_leaves_the_matches_of_the_devkit(seed):
    """Brute force: among demanded truth, the same predictions hit before and after dropping."""
    truth, predictions = random_scene(seed, frames=1)
    truth = {'0': [box(x=one.translation[0] / 8, y=one.translation[1] / 8, points=one.num_pts, token='0')
                   for one in truth['0'] if one.num_pts]}
    predictions = {'0': [box(x=one.translation[0] / 8, y=one.translation[1] / 8, score=round(one.detection_score, 1),
                             token='0') for one in predictions['0']]}
    demanded = {'0': [one for one in truth['0'] if one.num_pts >= 5]}

    def hits(against, guesses):
        taken, found = set(), {}
        for index, guess in sorted(enumerate(guesses), key=lambda pair: (pair[1].detection_score, pair[0]))[::-1]:
            gaps = {i: CONFIG.dist_fcn_callable(one, guess) for i, one in enumerate(against) if i not in taken}
            best = min(gaps, key=gaps.get, default=None)
            if best is not None and gaps[best] < 2.0:
                taken.add(best)
                found[id(guess)] = id(against[best])
        return found

    before = hits(truth['0'], predictions['0'])
    kept = drop_matched_to_faint(truth, demanded, predictions, CONFIG, 2.0)['0']
    wanted = {id(one) for one in demanded['0']}
    assert hits(demanded['0'], kept) == {guess: true for guess, true in before.items() if true in wanted}
    assert {id(one) for one in predictions['0']} - {id(one) for one in kept} == {
        guess for guess, true in before.items() if true not in wanted}
    assert 0 < len(kept) < len(predictions['0'])


def test_frames_must_agree():
    with pytest.raises(ValueError, match='2 frames of truth but 1'):
        score_detections({'a': [], 'b': []}, {'a': []}, CONFIG, CLASSES)
