"""Panels, tables and counts of a segmentation."""
import re
from pathlib import Path

import numpy as np
import pytest
from pretrain3d.converters.batch import SceneError
from pretrain3d.label_spaces import get_label_space
from pretrain3d.pictures import segmentation
from pretrain3d.pictures.scans import SPACE, BrowsedScan

WALL, FLOOR, CHAIR = SPACE.indices(('wall', 'floor', 'chair'))
NONE = SPACE.ignore_index


def plate(side=40):
    """A floor of 2 m that faces up; a quarter each of floor, chair, wall and no label."""
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side), indexing='ij'), -1).reshape(-1, 2)
    label = np.select([(grid > 0).all(1), (grid < 0).all(1), grid[:, 0] > 0], [CHAIR, FLOOR, WALL], NONE)
    align = np.eye(4)
    align[:3, 3] = (5, -3, 1)
    return BrowsedScan('scene', 'val', np.c_[grid, np.zeros(len(grid))], np.tile((0., 0., 1.), (len(grid), 1)),
                       np.tile(np.array((90, 60, 30), np.uint8), (len(grid), 1)), label, [], align, None, Path('.'))


def hues(picture, colour):
    """Share of the drawn pixels of ``colour`` under some light."""
    pixels = np.asarray(picture).reshape(-1, 3).astype(float)
    pixels = pixels[(pixels < 250).any(1)]
    light = pixels @ np.array(colour, float) / np.dot(colour, colour)
    return ((np.abs(pixels - light[:, None] * colour).max(1) < 6) & (light > 0.5) & (light < 1.02)).mean()


def test_panels_show_colours_labels_and_errors():
    scan = plate()
    drawing = segmentation.SceneDrawing.of(scan)
    assert hues(drawing.cloud(), (90, 60, 30)) > 0.9
    truth = drawing.labels(scan.label)
    for label in (WALL, FLOOR, CHAIR):
        assert hues(truth, SPACE.palette[label]) == pytest.approx(0.25, abs=0.05)
    wrong = np.where(scan.label == CHAIR, WALL, scan.label)  # a quarter of the floor, a third of what has a label
    errors = drawing.errors(wrong)
    assert errors.size == truth.size == segmentation.PANEL
    assert hues(errors, segmentation.WRONG) == pytest.approx(0.25, abs=0.05)
    assert hues(errors, segmentation.RIGHT) == pytest.approx(0.5, abs=0.08)
    assert segmentation.share_right(scan.label, wrong) == pytest.approx(2 / 3, abs=0.03)
    assert hues(drawing.errors(scan.label), segmentation.WRONG) == 0
    assert np.isnan(segmentation.share_right(np.array([NONE]), np.array([WALL])))


def test_labelled_points_are_dots_where_they_are_and_rings_where_hidden():
    scan = plate()
    row = int(np.flatnonzero(scan.label == CHAIR)[150])

    def around(scan):
        drawing = segmentation.SceneDrawing.of(scan)
        place = drawing.view.project(scan.xyz[[row]] + scan.axis_align[:3, 3])[0, :2] / 2
        column, line = np.round(place).astype(int)
        pixels = np.asarray(drawing.labelled(np.array([row]))).astype(int)
        return pixels[line, column], np.asarray(drawing.labelled(np.array([], int)))[line, column].astype(int)

    dot, without = around(scan)
    np.testing.assert_array_equal(dot, SPACE.palette[CHAIR])
    assert np.abs(without - SPACE.palette[CHAIR]).max() > 30
    lid = plate()
    lid.xyz = lid.xyz + (0, 0, 0.5)  # seen from above, the same floor below it is hidden
    arrays = [np.concatenate([getattr(scan, key), getattr(lid, key)]) for key in ('xyz', 'normal', 'rgb', 'label')]
    both = BrowsedScan('scene', 'val', *arrays, [], scan.axis_align, None, Path('.'))
    ring, without = around(both)
    np.testing.assert_array_equal(ring, without)  # nothing in its middle


def test_confusion_equals_counting():
    rng = np.random.default_rng(3)
    pairs = [tuple(rng.integers(0, NONE + 1, (2, n))) for n in (200, 1, 77)]
    found = segmentation.confusion(pairs)
    expected = np.zeros((NONE, NONE + 1), int)
    for truth, prediction in pairs:
        for t, p in zip(truth, prediction):
            if t != NONE:
                expected[t, p] += 1
    np.testing.assert_array_equal(found, expected)
    row = np.zeros(NONE + 1, int)
    assert segmentation.mistaken_for(row, WALL) == ''
    row[[WALL, CHAIR, FLOOR, NONE]] = 50, 30, 9, 11
    assert segmentation.mistaken_for(row, WALL) == 'chair 30 %, no class 11 %'


def test_table_of_classes_by_whichever_name():
    counts = np.zeros((NONE, NONE + 1), int)
    counts[CHAIR, WALL], counts[FLOOR, FLOOR] = 30, 10
    scores = {'iou_vertex/chair': 0.0, 'iou_vertex/floor': 0.75, 'iou_vertex/showercurtrain': 0.5, 'miou/vertex': 0.4,
              'iou_voxel/floor': 0.1}
    rows = [re.findall(r'<td>(.*?)</td>', row, re.S) for row in
            re.findall(r'<tr.*?</tr>', segmentation.class_table({'scratch': scores}, counts), re.S)][1:]
    texts = [[re.sub(r'<[^>]+>', '', cell) for cell in row] for row in rows]
    assert texts == [['chair', '0.000', '75.0 %', 'wall 100 %'], ['floor', '0.750', '25.0 %', ''],
                     ['shower curtain', '0.500', '0.0 %', ''], ['mean', '0.400', '', '']]
    two = segmentation.class_table({'scratch': scores, 'pre-trained': {'iou_vertex/chair': 0.25, 'miou/vertex': 0.25}})
    assert 'IoU scratch' in two and 'IoU pre-trained' in two and '0.250' in two and two.count('–') == 4


def test_classes_of_another_label_space():
    space = get_label_space('S3DIS13')
    beam, board = space.indices(('beam', 'board'))
    scan = plate()
    scan.space, scan.label = space, np.where(scan.label == FLOOR, board, beam)
    drawing = segmentation.SceneDrawing.of(scan)
    assert hues(drawing.labels(scan.label), space.palette[beam]) == pytest.approx(0.75, abs=0.05)
    counts = segmentation.confusion([(scan.label, np.full_like(scan.label, space.ignore_index))], space)
    assert counts.shape == (13, 14) and counts[beam, 13] == (scan.label == beam).sum()
    page = segmentation.class_table({'a': {'iou_vertex/beam': 0.25, 'miou/vertex': 0.25}}, counts, space=space)
    assert 'beam' in page and '0.250' in page and 'no class 100 %' in page
    text = segmentation.class_legend([scan.label], space)
    assert re.findall(r'</span>([a-z ]+)</span>', text) == ['beam', 'board']
    with pytest.raises(SceneError, match=r'classes are 0 \.\.\. 13'):
        segmentation.check_prediction(scan, np.full(1600, 14), 'scene.npy')
    assert segmentation.share_right(np.array([13, 0]), np.array([0, 0]), space) == 1


def test_legend_has_what_occurs_commonest_first():
    text = segmentation.class_legend([np.array([FLOOR, FLOOR, NONE]), np.array([CHAIR, FLOOR, CHAIR])])
    assert re.findall(r'</span>([a-z ]+)</span>', text) == ['floor', 'chair', 'no class']


def test_predictions_that_do_not_fit_are_refused():
    scan = plate()
    assert segmentation.check_prediction(scan, scan.label.astype(np.uint8), 'file').dtype == np.int64
    with pytest.raises(SceneError, match='scene.npy: 5 predictions for the 1600 points of scene'):
        segmentation.check_prediction(scan, np.zeros(5, np.uint8), 'scene.npy')
    with pytest.raises(SceneError, match=r'holds 0 \.\.\. 200'):
        segmentation.check_prediction(scan, np.r_[np.zeros(1599, int), 200], 'scene.npy')


def test_a_mark_lies_on_its_point_with_circles_in_metres():
    drawing = segmentation.SceneDrawing.of(plate(), azimuth=0., elevation=np.pi / 2)
    row = int(np.flatnonzero(drawing.scan.label == CHAIR)[150])
    plain, marked = drawing.cloud(), drawing.mark(drawing.cloud(), row, [0.3])
    align = drawing.scan.axis_align
    x, y = drawing.view.project(drawing.scan.xyz[[row]] + align[:3, 3])[0, :2] / 2
    changed = np.nonzero((np.asarray(plain) != np.asarray(marked)).any(-1))
    assert np.asarray(marked)[int(y), int(x)].tolist() == [255, 255, 255]
    far = np.hypot(changed[1] - x, changed[0] - y)
    assert far.max() == pytest.approx(0.3 * drawing.view.scale / 2, abs=2.5)
    assert not ((far > segmentation.DOT + 2) & (far < far.max() - 4)).any()


def test_difference_of_two_runs_has_a_sign():
    runs = {'scratch': {'iou_vertex/chair': 0.5, 'miou/vertex': 0.5}, 'pre-trained': {'miou/vertex': 0.25}}
    text = re.sub(r'<[^>]+>', ' ', segmentation.class_table(runs))
    assert '-0.250' in text and 'difference' in text and segmentation.difference(0.1, 0.3) == '+0.200'
    assert segmentation.difference(None, 0.3) == '–'
