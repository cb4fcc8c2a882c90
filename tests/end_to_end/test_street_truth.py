"""nuscenes-devkit reads a drawn street, and truth fed as prediction scores 1.0."""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from nuscenes import NuScenes
from nuscenes.eval.common.config import config_factory
from nuscenes.eval.detection.constants import DETECTION_NAMES
from nuscenes.eval.detection.evaluate import DetectionEval
from nuscenes.eval.detection.utils import category_to_detection_name, detection_name_to_rel_attributes
from nuscenes.eval.lidarseg.evaluate import LidarSegEval
from nuscenes.eval.panoptic.evaluate import NuScenesPanopticEval
from nuscenes.utils.data_classes import LidarPointCloud
from nuscenes.utils.splits import mini_val
from pretrain3d.label_spaces import get_label_space
from pretrain3d.worlds.street.nuscenes_taxonomy import RAW_IDS
from pretrain3d.worlds.street.rig import CAMERAS

from mmdet3d.registry import DATASETS, METRICS

@pytest.fixture(scope='module')
def nusc(drawn_street):
    return NuScenes('v1.0-mini', str(drawn_street.world), verbose=False)


def val_samples(nusc):
    return [sample for sample in nusc.sample if nusc.get('scene', sample['scene_token'])['name'] in mini_val]


def test_devkit_loads_it(drawn_street, nusc):
    keyframes = drawn_street.preset.keyframes
    assert len(nusc.scene) >= 2 and len(nusc.sample) == len(nusc.scene) * keyframes
    assert len(nusc.lidarseg) == len(nusc.panoptic) == len(nusc.sample)
    assert nusc.lidarseg_name2idx_mapping == RAW_IDS
    for sample in nusc.sample:
        assert set(sample['data']) == {'LIDAR_TOP', *CAMERAS} and sample['anns']
    # What it interpolates for sweeps, and sweeps put together, with no radar anywhere.
    last = nusc.get('sample', nusc.scene[0]['last_sample_token'])
    sweep = nusc.get('sample_data', nusc.get('sample_data', last['data']['LIDAR_TOP'])['prev'])
    assert not sweep['is_key_frame'] and nusc.get_boxes(sweep['token'])
    cloud, times = LidarPointCloud.from_file_multisweep(nusc, last, 'LIDAR_TOP', 'LIDAR_TOP', nsweeps=3)
    assert cloud.points.shape[1] == times.shape[1] > 2000 and len(np.unique(times)) == 3


def test_attributes_are_those_of_the_class_and_of_the_movement(nusc):
    missing, total = 0, 0
    for annotation in nusc.sample_annotation:
        name = category_to_detection_name(annotation['category_name'])
        if name is None:
            continue
        allowed = detection_name_to_rel_attributes(name)
        attributes = [nusc.get('attribute', token)['name'] for token in annotation['attribute_tokens']]
        assert set(attributes) <= set(allowed), annotation['category_name']
        missing += bool(allowed) and not attributes
        total += bool(allowed)
        speed = np.linalg.norm(nusc.box_velocity(annotation['token'])[:2])
        if attributes and attributes[0] in ('vehicle.parked', 'vehicle.stopped') and not np.isnan(speed):
            assert speed < 1.5
        if attributes == ['vehicle.moving'] and not np.isnan(speed):
            assert speed > 0.1
    assert total > 20 and missing < 0.2 * total


def as_predictions(nusc):
    results = {sample['token']: [] for sample in val_samples(nusc)}
    for token, boxes in results.items():
        for annotation in map(lambda name: nusc.get('sample_annotation', name), nusc.get('sample', token)['anns']):
            name = category_to_detection_name(annotation['category_name'])
            if name is None:
                continue
            attributes = [nusc.get('attribute', attribute)['name'] for attribute in annotation['attribute_tokens']]
            boxes.append(dict(
                sample_token=token, translation=annotation['translation'], size=annotation['size'],
                rotation=annotation['rotation'], velocity=nusc.box_velocity(annotation['token'])[:2].tolist(),
                detection_name=name, detection_score=1.0, attribute_name=(attributes or [''])[0]))
    return results


def detection_scores(nusc, results, folder):
    path = folder / 'results.json'
    path.write_text(json.dumps(dict(results=results, meta=dict.fromkeys(
        ('use_camera', 'use_lidar', 'use_radar', 'use_map', 'use_external'), False))))
    evaluation = DetectionEval(nusc, config_factory('detection_cvpr_2019'), str(path), 'mini_val', str(folder), False)
    return evaluation.evaluate()[0].serialize()


def test_true_boxes_score_one(nusc, tmp_path):
    results = as_predictions(nusc)
    scores = detection_scores(nusc, results, tmp_path)
    assert set(scores['mean_dist_aps']) == set(DETECTION_NAMES)
    assert scores['mean_dist_aps'] == pytest.approx(dict.fromkeys(DETECTION_NAMES, 1.0))
    assert scores['mean_ap'] == pytest.approx(1) and scores['nd_score'] == pytest.approx(1)
    assert scores['tp_errors'] == pytest.approx(dict.fromkeys(scores['tp_errors'], 0), abs=1e-6)


def test_wrong_boxes_do_not(nusc, tmp_path):
    """Each error is seen by the score that measures it."""
    worse = dict(mean_ap=lambda box: box.update(translation=[box['translation'][0] + 5, *box['translation'][1:]]),
                 scale_err=lambda box: box.update(size=[2 * side for side in box['size']]),
                 vel_err=lambda box: box.update(velocity=[box['velocity'][0] + 1, box['velocity'][1]]),
                 attr_err=lambda box: box.update(attribute_name=''))
    for score, spoil in worse.items():
        results = as_predictions(nusc)
        for boxes in results.values():
            for box in boxes:
                spoil(box)
        scores = detection_scores(nusc, results, tmp_path)
        if score == 'mean_ap':
            assert scores['mean_ap'] < 0.5
        else:
            assert scores['tp_errors'][score] > 0.5 and scores['mean_ap'] == pytest.approx(1)


def test_val_scenes_hold_every_class(nusc):
    """All ten detection classes within their evaluation range and all sixteen lidarseg classes, with enough points."""
    config = config_factory('detection_cvpr_2019')
    boxes, points = dict.fromkeys(DETECTION_NAMES, 0), np.zeros(32, dtype=int)
    for sample in val_samples(nusc):
        lidar = nusc.get('sample_data', sample['data']['LIDAR_TOP'])
        ego = nusc.get('ego_pose', lidar['ego_pose_token'])['translation']
        for annotation in (nusc.get('sample_annotation', token) for token in sample['anns']):
            name = category_to_detection_name(annotation['category_name'])
            near = np.linalg.norm(np.subtract(annotation['translation'], ego)[:2])
            if name and near < config.class_range[name] and annotation['num_lidar_pts'] >= 5:
                boxes[name] += 1
        raw = np.fromfile(f'{nusc.dataroot}/{nusc.get("lidarseg", lidar["token"])["filename"]}', np.uint8)
        points += np.bincount(raw, minlength=32)
    assert min(boxes.values()) >= 3, boxes
    space = get_label_space('nuScenes16')
    by_class = np.zeros(16, dtype=int)
    for raw, index in space.raw_pairs:
        by_class[index] += points[raw]
    assert by_class.min() >= 50, dict(zip(space.classes, by_class))


def write_predictions(nusc, folder, spoil=False):
    """Both truths in the submission formats, of the 16 coarse classes."""
    mapping = np.zeros(32, dtype=np.int64)
    for raw, index in get_label_space('nuScenes16').raw_pairs:
        mapping[raw] = index + 1
    for task in ('lidarseg', 'panoptic'):
        (folder / task / 'mini_val').mkdir(parents=True)
    for sample in val_samples(nusc):
        token = sample['data']['LIDAR_TOP']
        raw = np.fromfile(f'{nusc.dataroot}/{nusc.get("lidarseg", token)["filename"]}', np.uint8)
        panoptic = np.load(f'{nusc.dataroot}/{nusc.get("panoptic", token)["filename"]}')['data'].astype(np.int64)
        coarse = mapping[raw]
        if spoil:
            coarse[::2] = 4
            panoptic[::3] += 500
        # Classes of nobody's interest must not be predicted; whatever stands there is not looked at.
        np.maximum(coarse, 1).astype(np.uint8).tofile(folder / 'lidarseg' / 'mini_val' / f'{token}_lidarseg.bin')
        np.savez_compressed(folder / 'panoptic' / 'mini_val' / f'{token}_panoptic.npz',
                            data=(mapping[panoptic // 1000] * 1000 + panoptic % 1000).astype(np.uint16))


@pytest.mark.parametrize('spoil', [False, True])
def test_true_labels_score_one(nusc, tmp_path, spoil):
    write_predictions(nusc, tmp_path, spoil)
    semantic = LidarSegEval(nusc, str(tmp_path), 'mini_val').evaluate()
    NuScenesPanopticEval(nusc, str(tmp_path), 'mini_val', 'tracking', 15, str(tmp_path)).evaluate()
    scores = json.loads((tmp_path / 'tracking-result.json').read_text())
    panoptic, tracking = scores['segmentation']['all'], scores['tracking']['all']
    if spoil:
        assert semantic['miou'] < 0.6 and panoptic['PQ'] < 0.8 and tracking['PAT'] < 0.8
    else:
        ious = [value for name, value in semantic['iou_per_class'].items() if name != 'ignore']
        assert len(ious) == 16 and ious == pytest.approx([1] * 16) and semantic['miou'] == pytest.approx(1)
        assert panoptic['PQ'] == pytest.approx(1) and panoptic['mIoU'] == pytest.approx(1)
        assert tracking['PAT'] == pytest.approx(1)


def test_true_boxes_score_one_in_mmdet3d(drawn_street, tmp_path):
    """Through mmdet3d's converter, its data set and its metric, which guesses attributes from the speed."""
    for entry in drawn_street.world.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    tool = Path(__file__).resolve().parents[2] / 'tools' / 'data' / 'nuscenes.py'
    done = subprocess.run([sys.executable, str(tool), str(tmp_path), '--version', 'v1.0-mini', '--no-gt-database'],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    init_default_scope('mmdet3d')
    dataset = DATASETS.build(dict(
        type='NuScenesDataset', data_root=str(tmp_path), ann_file='nuscenes_infos_val.pkl', pipeline=[],
        data_prefix=dict(pts='samples/LIDAR_TOP', sweeps='sweeps/LIDAR_TOP', img=''), test_mode=True,
        metainfo=dict(classes=list(get_label_space('nuScenesDet10').classes), version='v1.0-mini'),
        box_type_3d='LiDAR'))
    metric = METRICS.build(dict(type='NuScenesMetric', data_root=str(tmp_path),
                                ann_file=str(tmp_path / 'nuscenes_infos_val.pkl')))
    metric.dataset_meta = dataset.metainfo
    for index in range(len(dataset)):
        truth = dataset.get_data_info(index)['eval_ann_info']
        known = truth['gt_labels_3d'] >= 0
        labels = torch.from_numpy(truth['gt_labels_3d'][known])
        metric.process({}, [dict(sample_idx=index, pred_instances={}, pred_instances_3d=dict(
            bboxes_3d=truth['gt_bboxes_3d'][torch.from_numpy(known)], labels_3d=labels,
            scores_3d=torch.ones(len(labels))))])
    scores = {name.rpartition('/')[2]: value for name, value in metric.evaluate(len(dataset)).items()}
    assert scores['mAP'] == pytest.approx(1, abs=1e-3)
    assert max(scores[name] for name in ('mATE', 'mASE', 'mAOE', 'mAVE')) < 2e-3, scores
    assert 0 <= scores['mAAE'] < 0.2 and scores['NDS'] == pytest.approx(1 - 0.1 * scores['mAAE'], abs=2e-3)
