import numpy as np
import pytest
import torch
from info_frames import CATEGORIES, frame, info_file, instance, street
from nuscenes.eval.common.utils import quaternion_yaw
from nuscenes.eval.detection.config import config_factory
from pyquaternion import Quaternion

from mmdet3d.evaluation.metrics.nuscenes_metric import NuScenesMetric, lidar_nusc_box_to_global, output_to_nusc_box
from mmdet3d.structures import LiDARInstance3DBoxes
from pretrain3d.evaluation.det_boxes import (CONVERTER_CLASSES, FramePose, boxes_to_global, check_class_names,
                                             guess_attribute, label_names, predicted_boxes, truth_boxes)

NAMES = {label: name for name, label in CATEGORIES.items()}


def table(info):
    """(N, 9) boxes by their centre, of one info entry."""
    return np.array([one['bbox_3d'] + one['velocity'] for one in info['instances']])


@pytest.mark.parametrize('tilt', [0.0, 0.05])
def test_prediction_lands_where_mmdet3d_puts_it(tilt):
    info = street(seed=3)
    info['lidar_points']['lidar2ego'] = frame('x', [], tilt=tilt)['lidar_points']['lidar2ego']
    boxes = torch.tensor(table(info), dtype=torch.float64)
    labels = torch.tensor([one['bbox_label_3d'] for one in info['instances']])
    lidar_boxes = LiDARInstance3DBoxes(boxes.float(), box_dim=9, origin=(0.5, 0.5, 0.5))
    scores = torch.rand(len(boxes))
    theirs, _ = output_to_nusc_box(dict(bboxes_3d=lidar_boxes, scores_3d=scores, labels_3d=labels))
    theirs = lidar_nusc_box_to_global(info, theirs, CONVERTER_CLASSES, config_factory('detection_cvpr_2019'))
    ours = predicted_boxes(boxes.numpy(), scores.numpy(), labels.numpy(), CONVERTER_CLASSES, FramePose.from_info(info),
                           'a')
    assert len(theirs) == len(ours) == 30  # all within range, so mmdet3d dropped none
    for their, our in zip(theirs, ours):
        np.testing.assert_allclose(our.translation, their.center, atol=1e-4)
        np.testing.assert_allclose(our.size, their.wlh, atol=1e-5)
        np.testing.assert_allclose(our.velocity, their.velocity[:2], atol=1e-5)
        difference = Quaternion(our.rotation).inverse * their.orientation
        assert abs(difference.angle) < 1e-5
        assert our.detection_name == CONVERTER_CLASSES[their.label]
        assert our.detection_score == pytest.approx(their.score)


def test_truth_and_prediction_of_the_same_box_coincide():
    info = street()
    truth = truth_boxes(info, NAMES, 'a')
    labels = np.array([one['bbox_label_3d'] for one in info['instances']])
    same = predicted_boxes(table(info), np.ones(len(labels)), labels, CONVERTER_CLASSES, FramePose.from_info(info), 'a')
    for true, predicted in zip(truth, same):
        assert true.detection_name == predicted.detection_name and true.ego_dist == predicted.ego_dist
        np.testing.assert_allclose(true.translation, predicted.translation, atol=1e-9)
        np.testing.assert_allclose(true.rotation, predicted.rotation, atol=1e-9)
        np.testing.assert_allclose(true.velocity, predicted.velocity, atol=1e-9)


def test_flat_case_by_hand():
    info = frame('a', [], tilt=0.0)
    info['lidar_points']['lidar2ego'] = np.eye(4).tolist()
    info['ego2global'] = [[0, -1, 0, 10], [1, 0, 0, 20], [0, 0, 1, 0], [0, 0, 0, 1]]  # turned left by 90 degrees
    fields = boxes_to_global(np.array([[3.0, 0, 1, 4, 2, 1.5, 0.25, 5, 0]]), FramePose.from_info(info))
    np.testing.assert_allclose(fields['translation'], [[10, 23, 1]], atol=1e-12)
    np.testing.assert_allclose(fields['size'], [[2, 4, 1.5]])
    np.testing.assert_allclose(fields['velocity'], [[0, 5]], atol=1e-12)
    np.testing.assert_allclose(fields['ego'], [[0, 3, 1]], atol=1e-12)
    assert quaternion_yaw(Quaternion(fields['rotation'][0])) == pytest.approx(np.pi / 2 + 0.25)


def test_no_boxes():
    info = frame('a', [])
    assert truth_boxes(info, NAMES, 'a') == []
    assert predicted_boxes(np.zeros((0, 9)), np.zeros(0), np.zeros(0, int), CONVERTER_CLASSES,
                           FramePose.from_info(info), 'a') == []


def test_points_attributes_and_ignored_instances():
    ignored = instance('car', (5, 5, 0, 4, 2, 1, 0))
    ignored['bbox_label_3d'] = -1
    info = frame('a', [instance('car', (9, 0, 0, 4, 2, 1, 0), points=3, radar=4, attribute_name='vehicle.parked'),
                       ignored, instance('barrier', (9, 9, 0, 1, 2, 1, 0), points=0, velocity=(np.nan, np.nan))])
    boxes = truth_boxes(info, NAMES, 'a')
    assert [(box.detection_name, box.num_pts, box.attribute_name) for box in boxes] == [
        ('car', 7, 'vehicle.parked'), ('barrier', 0, '')]
    assert np.isnan(boxes[1].velocity).all()


def test_boxes_without_velocity_get_nan():
    box = predicted_boxes(np.array([[5.0, 0, 0, 4, 2, 1, 0]]), np.ones(1), np.zeros(1, int), ['car'],
                          FramePose.from_info(frame('a', [])), 'a')[0]
    assert np.isnan(box.velocity).all()


@pytest.mark.parametrize('change, message', [
    (lambda info: info['instances'][0]['bbox_3d'].__setitem__(0, float('nan')), "'tok'.*not finite"),
    (lambda info: info['instances'][0]['bbox_3d'].__setitem__(4, 0.0), "'tok'.*no volume"),
    (lambda info: info['instances'][0].pop('num_lidar_pts'), "'num_lidar_pts'"),
    (lambda info: info['instances'][0].__setitem__('bbox_label_3d', 17), 'label 17'),
    (lambda info: info.pop('ego2global'), "'ego2global'"),
    (lambda info: info['lidar_points'].pop('lidar2ego'), "'lidar_points.lidar2ego'"),
    (lambda info: info['ego2global'][0].__setitem__(0, 7.0), 'not a rotation'),
    (lambda info: info['ego2global'].pop(), '4x4'),
])
def test_bad_infos_name_the_sample_or_key(change, message):
    info = frame('tok', [instance('car', (9, 0, 0, 4, 2, 1, 0))])
    change(info)
    with pytest.raises(ValueError, match=message):
        truth_boxes(info, NAMES, 'tok')


def test_names():
    assert label_names(info_file([])['metainfo']) == NAMES == label_names({})
    assert check_class_names(('car', 'bus')) == ['car', 'bus']
    with pytest.raises(ValueError, match="'pedestrain'; did you mean 'pedestrian'"):
        check_class_names(['car', 'pedestrain'])


def test_guessed_attributes_follow_mmdet3d(tmp_path):
    """The rule is inline in mmdet3d's formatter, so its written file is the oracle."""
    import json
    metric = NuScenesMetric(data_root='', ann_file='', format_only=True, jsonfile_prefix=str(tmp_path))
    info = frame('a', [])
    metric.data_infos, metric.modality = [info], {}
    count = len(CONVERTER_CLASSES)
    speeds = torch.tensor([0.0, 0.19, 0.21, 3.0]).repeat_interleave(count)
    boxes = torch.zeros(4 * count, 9)
    boxes[:, 0], boxes[:, 3:6], boxes[:, 7] = 5, 1, speeds
    labels = torch.arange(count).repeat(4)
    path = metric._format_lidar_bbox(
        [dict(bboxes_3d=LiDARInstance3DBoxes(boxes, box_dim=9), scores_3d=torch.ones(len(boxes)), labels_3d=labels)],
        [0], list(CONVERTER_CLASSES), str(tmp_path))
    with open(path) as file:
        theirs = [one['attribute_name'] for one in json.load(file)['results']['a']]
    ours = [guess_attribute(CONVERTER_CLASSES[label], speed, metric.DefaultAttribute)
            for label, speed in zip(labels, speeds)]
    assert ours == theirs
