"""Few scans and few boxes for detection: alone, and through mmdet3d's real ScanNet data set and pipeline."""
import json

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

import pretrain3d  # noqa: F401
from mmdet3d.registry import DATASETS
from pretrain3d.datasets.scannet_boxes import LimitBoxes
from pretrain3d.datasets.limited_seg import scan_name


def boxes(count=5):
    return dict(scan='s', gt_bboxes_3d=np.arange(count), gt_labels_3d=np.arange(count) * 2,
                ann_info=dict(instance_id=np.arange(count) + 1), pts_instance_mask=np.array([0, 1, 2, 3, 4, 5]),
                pts_semantic_mask=np.array([1, 1, 2, 3, 4, 5]), seg_label_mapping=np.array([18, 0, 1]))


@pytest.mark.parametrize('count', [1, 2, 4, 7])
def test_limit_boxes(count):
    out = LimitBoxes(boxes=count)(boxes())
    kept = out['gt_bboxes_3d']
    assert len(kept) == min(count, 5) and np.array_equal(out['gt_labels_3d'], kept * 2)
    stays = np.isin(np.arange(6), kept + 1)
    assert np.array_equal(out['pts_semantic_mask'], np.where(stays, boxes()['pts_semantic_mask'], 18))
    assert np.array_equal(out['pts_instance_mask'] > 0, stays)


def test_box_list(tmp_path):
    (tmp_path / 'b.json').write_text('{"s": [3, 1]}')
    assert LimitBoxes(boxes=str(tmp_path / 'b.json'))(boxes())['gt_bboxes_3d'].tolist() == [1, 3]
    with pytest.raises(ValueError, match='box 3 of s, which has 2'):
        LimitBoxes(boxes=str(tmp_path / 'b.json'))(boxes(2))
    with pytest.raises(KeyError, match='no entry for t'):
        LimitBoxes(boxes=str(tmp_path / 'b.json'))(dict(boxes(), scan='t'))


def test_without_option_or_instances():
    untouched = LimitBoxes()(boxes())
    assert untouched['gt_bboxes_3d'].tolist() == [0, 1, 2, 3, 4]
    assert untouched['pts_instance_mask'].tolist() == [0, 1, 2, 3, 4, 5]
    assert LimitBoxes()(dict(boxes(), limit_boxes=np.array([2])))['gt_bboxes_3d'].tolist() == [2]
    with pytest.raises(ValueError, match='no instance_id'):
        LimitBoxes(boxes=1)(dict(boxes(), ann_info={}))
    bare = dict(boxes(0), ann_info={}, pts_semantic_mask=np.zeros(6, int))
    assert (LimitBoxes(boxes=1)(bare)['pts_semantic_mask'] == 18).all()
    with pytest.raises(ValueError, match='at least 1'):
        LimitBoxes(boxes=0)


def pipeline(limit):
    """mmdet3d's own training pipeline of VoteNet on ScanNet, with the limit where its documentation says."""
    return [
        dict(type='LoadPointsFromFile', coord_type='DEPTH', shift_height=True, load_dim=6, use_dim=[0, 1, 2]),
        dict(type='LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True, with_mask_3d=True, with_seg_3d=True),
        dict(type='GlobalAlignment', rotation_axis=2),
        dict(type='PointSegClassMapping'),
        *limit,
        dict(type='PointSample', num_points=6000),
        dict(type='RandomFlip3D', sync_2d=False, flip_ratio_bev_horizontal=0.5, flip_ratio_bev_vertical=0.5),
        dict(type='GlobalRotScaleTrans', rot_range=[-0.087266, 0.087266], scale_ratio_range=[1.0, 1.0],
             shift_height=True),
        dict(type='Pack3DDetInputs', keys=['points', 'gt_bboxes_3d', 'gt_labels_3d', 'pts_semantic_mask',
                                           'pts_instance_mask'])]


def build(folder, kind, limit=(), **options):
    init_default_scope('mmdet3d')
    return DATASETS.build(dict(
        type=kind, data_root=str(folder), ann_file='scannet_infos_train.pkl', pipeline=pipeline(limit), **options))


@pytest.mark.parametrize('kind, limit, options', [
    ('ScanNetDataset', [dict(type='LimitBoxes', boxes=2, seed=3)], {}),
    ('ScanNetDetDataset', [dict(type='LimitBoxes')], dict(limit_boxes=2, limit_seed=3))])
def test_limited_boxes_through_the_real_pipeline(drawn_scannet, kind, limit, options):
    """Two boxes are left; just their points have labels, and lie in their boxes after flip and rotation."""
    limited, whole = build(drawn_scannet.converted, kind, limit, **options), build(drawn_scannet.converted, kind)
    for i in range(3):
        np.random.seed(5)
        few = limited[i]
        np.random.seed(5)
        all_boxes = whole[i]['data_samples'].gt_instances_3d
        sample, points = few['data_samples'], few['inputs']['points']
        kept = sample.gt_instances_3d
        # The same draw of boxes either way, and boxes that the scan has.
        rows = LimitBoxes(2, 3).rows(scan_name(whole.get_data_info(i)), len(all_boxes))
        assert len(all_boxes) > 2 and len(rows) == 2
        assert torch.equal(kept.labels_3d, all_boxes.labels_3d[rows])
        semantic = torch.as_tensor(sample.gt_pts_seg.pts_semantic_mask)
        instance = torch.as_tensor(sample.gt_pts_seg.pts_instance_mask)
        assert torch.equal(semantic < 18, instance > 0) and (semantic < 18).any()
        assert set(semantic[semantic < 18].tolist()) <= set(kept.labels_3d.tolist())
        inside = torch.zeros(len(points), dtype=torch.bool)
        for centre, size, yaw in zip(kept.bboxes_3d.gravity_center, kept.bboxes_3d.dims, kept.bboxes_3d.yaw):
            offset = points[:, :3] - centre  # the rotation is small: its slack is that of a corner
            inside |= (offset.abs() <= size / 2 + 0.05 * size.norm()).all(1)
        assert inside[instance > 0].all()


def test_limited_scans(drawn_scannet):
    sizes = [len(build(drawn_scannet.converted, 'ScanNetDetDataset', limit_scenes=share)) for share in (0.1, 0.5, 1.)]
    assert sizes == [1, 2, 3]
    names = [{scan_name(dataset.get_data_info(i)) for i in range(len(dataset))} for dataset in (
        build(drawn_scannet.converted, 'ScanNetDetDataset', limit_scenes=share) for share in (0.1, 0.5))]
    assert names[0] < names[1]
    limited = build(drawn_scannet.converted, 'ScanNetDetDataset', [dict(type='LimitBoxes')], limit_scenes=0.5,
                    limit_boxes=1)
    assert sum(limited.num_ins_per_cat) == 2  # the table that mmdet3d logs


def test_what_would_not_be_limited_is_refused(drawn_scannet, tmp_path):
    folder = drawn_scannet.converted
    with pytest.raises(ValueError, match='training'):
        build(folder, 'ScanNetDetDataset', limit_boxes=1, test_mode=True)
    with pytest.raises(ValueError, match='behind PointSegClassMapping'):
        build(folder, 'ScanNetDetDataset', limit_boxes=1)
    (tmp_path / 'list.json').write_text(json.dumps(dict(scene0000_00=[0])))
    with pytest.raises(KeyError, match='limit_scenes'):  # before the run starts
        build(folder, 'ScanNetDetDataset', [dict(type='LimitBoxes')], limit_boxes=str(tmp_path / 'list.json'))
    (tmp_path / 'scans.txt').write_text('scene0000_00\n')
    listed = build(folder, 'ScanNetDetDataset', [dict(type='LimitBoxes')], limit_boxes=str(tmp_path / 'list.json'),
                   limit_scenes=str(tmp_path / 'scans.txt'))
    assert len(listed) == 1 and len(listed[0]['data_samples'].gt_instances_3d) == 1
