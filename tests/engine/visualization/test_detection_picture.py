import numpy as np
import pytest
from PIL import Image

from pretrain3d.engine.visualization.detection_picture import (PREDICTION_COLOUR, TRUTH_COLOUR, Camera, Frame,
                                                               draw_detections)

LIDAR2CAM = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
CAM2IMG = np.array([[200, 0, 160], [0, 200, 90], [0, 0, 1.0]])
TRUTH = np.array([[10.0, 2, 0, 4, 2, 2, 0.3], [-10.0, -5, 0, 4, 2, 2, 1.0]])
OTHER = np.array([[20.0, -6, 0, 4, 2, 2, 0.3]])


def count(path, colour, tolerance=30):
    """Pixels near a colour."""
    image = np.asarray(Image.open(path).convert('RGB')).astype(int)
    wanted = [int(colour[i:i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(image - wanted).max(-1) <= tolerance).sum())


@pytest.fixture
def frame(tmp_path):
    Image.new('RGB', (320, 180), (90, 90, 90)).save(tmp_path / 'front.jpg')
    points = np.random.default_rng(0).uniform(-30, 30, (500, 4))
    cameras = dict(CAM_FRONT=Camera(str(tmp_path / 'front.jpg'), LIDAR2CAM, CAM2IMG),
                   CAM_BACK=Camera(str(tmp_path / 'absent.jpg'), LIDAR2CAM, CAM2IMG))
    return Frame(points, TRUTH, OTHER, np.array([0.8]), ['car'], cameras)


def test_boxes_are_drawn_in_their_colours(frame, tmp_path):
    def drawn(truth, predictions, scores):
        path = draw_detections(Frame(frame.points, truth, predictions, scores, ['car'] * len(scores), frame.cameras),
                               str(tmp_path / 'deep' / 'out.png'), title='t')
        return count(path, TRUTH_COLOUR), count(path, PREDICTION_COLOUR)

    none = np.zeros((0, 7))
    legend = drawn(none, none, np.zeros(0))  # colours appear in the legend even without boxes
    both = drawn(TRUTH, OTHER, np.array([0.8]))
    assert both[0] > legend[0] + 200 and both[1] > legend[1] + 100
    weak = drawn(TRUTH, OTHER, np.array([0.1]))  # below the threshold
    assert weak[0] > legend[0] + 200 and weak[1] == legend[1]


def test_the_camera_panel_shows_what_the_camera_sees(frame, tmp_path):
    """The same boxes with and without a camera that looks their way differ only in that panel."""
    away = np.diag([-1.0, 1, -1, 1]) @ LIDAR2CAM
    nothing = Frame(frame.points, TRUTH[:1], np.zeros((0, 7)), np.zeros(0), [],
                    dict(CAM_FRONT=Camera(frame.cameras['CAM_FRONT'].path, away, CAM2IMG)))
    seen = Frame(frame.points, TRUTH[:1], np.zeros((0, 7)), np.zeros(0), [],
                 dict(CAM_FRONT=Camera(frame.cameras['CAM_FRONT'].path, LIDAR2CAM, CAM2IMG)))
    paths = [draw_detections(one, str(tmp_path / f'{name}.png')) for name, one in (('no', nothing), ('yes', seen))]
    assert count(paths[1], TRUTH_COLOUR) > count(paths[0], TRUTH_COLOUR) + 200


def test_no_points_no_cameras_no_boxes(tmp_path):
    empty = Frame(np.zeros((0, 4)), np.zeros((0, 7)), np.zeros((0, 7)), np.zeros(0))
    path = draw_detections(empty, str(tmp_path / 'empty.png'))
    assert Image.open(path).size[0] > 500


def test_nine_columns_and_more_than_six_cameras(frame, tmp_path):
    cameras = {f'camera_{i}': frame.cameras['CAM_FRONT'] for i in range(7)}
    wide = Frame(frame.points, np.pad(TRUTH, ((0, 0), (0, 2))), np.pad(OTHER, ((0, 0), (0, 2))), np.array([0.8]),
                 ['car'], cameras)
    draw_detections(wide, str(tmp_path / 'seven.png'), extent=25)
