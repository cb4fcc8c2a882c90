"""Outdoor lists against the raw ids that the specifications give."""
import pytest

from pretrain3d.label_spaces import NUSCENES_LIDARSEG, SEMANTICKITTI_RAW, get_label_space


def test_nuscenes_lidarseg_map():
    space = get_label_space('nuScenes16')
    expected = {2: 6, 3: 6, 4: 6, 6: 6, 9: 0, 12: 7, 14: 1, 15: 2, 16: 2, 17: 3, 18: 4, 21: 5, 22: 8, 23: 9, 24: 10,
                25: 11, 26: 12, 27: 13, 28: 14, 30: 15}
    assert space.raw_to_index == expected
    assert len(NUSCENES_LIDARSEG) == 32
    assert ' '.join(space.classes) == (
        'barrier bicycle bus car construction_vehicle motorcycle pedestrian traffic_cone trailer truck '
        'driveable_surface other_flat sidewalk terrain manmade vegetation')


def test_nuscenes_boxes_and_points_share_names_and_colours():
    boxes, points = get_label_space('nuScenesDet10'), get_label_space('nuScenes16')
    assert set(boxes.classes) == set(points.classes[:10]) and boxes.classes != points.classes[:10]
    for name, colour in zip(boxes.classes, boxes.palette):
        assert points.palette[points.index(name)] == colour


def test_nuscenes_map_and_colours_are_the_devkits():
    utils = pytest.importorskip('nuscenes.eval.lidarseg.utils')
    color_map = pytest.importorskip('nuscenes.utils.color_map')
    mapper = object.__new__(utils.LidarsegClassMapper)  # its tables need no database
    mapper.ignore_class = mapper.get_ignore_class()
    ignored = mapper.ignore_class['name']
    coarse = mapper.get_fine2coarse()
    assert [name for name, _ in NUSCENES_LIDARSEG] == list(color_map.get_colormap())
    assert {name: coarse[name] for name, _ in NUSCENES_LIDARSEG} == {
        name: group or ignored for name, group in NUSCENES_LIDARSEG}
    colours, space = mapper.get_coarse2color(), get_label_space('nuScenes16')
    assert {name: colours[name] for name in space.classes} == dict(zip(space.classes, space.palette))


def test_semantickitti_raw_ids():
    space = get_label_space('SemanticKITTI19')
    assert len(SEMANTICKITTI_RAW) == 34
    assert {raw for raw, name in SEMANTICKITTI_RAW.items() if name is None} == {0, 1, 52, 99}
    # a raw label holds the instance in its upper half
    assert space.map_raw((7 << 16 | 252) & 0xFFFF) == space.index('car')
    pairs = {252: 10, 253: 31, 254: 30, 255: 32, 256: 16, 257: 13, 258: 18, 259: 20, 60: 40}
    assert space.map_raw(list(pairs)).tolist() == space.map_raw(list(pairs.values())).tolist()


def test_waymo_is_the_raw_id_less_one():
    space = get_label_space('Waymo22')
    assert space.map_raw(range(24)).tolist() == [22, *range(22), 22]
    order = ('car, truck, bus, other vehicle, motorcyclist, bicyclist, pedestrian, sign, traffic light, pole, '
             'construction cone, bicycle, motorcycle, building, vegetation, tree trunk, curb, road, lane marker, '
             'other ground, walkable, sidewalk')
    assert ', '.join(space.classes) == order
