"""Label spaces of streets: nuScenes (lidarseg 16, detection 10), SemanticKITTI (19), Waymo (22)."""
from __future__ import annotations

from typing import Dict, Optional, Tuple

from .space import LabelSpace


def _pairs(raw: Dict[int, Optional[str]], classes: Tuple[str, ...]) -> Tuple[Tuple[int, int], ...]:
    """(raw id, index) from raw id -> class name; None is ignored."""
    return tuple((number, classes.index(name)) for number, name in raw.items() if name is not None)


_NUSCENES_COLOURS = dict(
    barrier=(112, 128, 144), bicycle=(220, 20, 60), bus=(255, 127, 80), car=(255, 158, 0),
    construction_vehicle=(233, 150, 70), motorcycle=(255, 61, 99), pedestrian=(0, 0, 230), traffic_cone=(47, 79, 79),
    trailer=(255, 140, 0), truck=(255, 99, 71), driveable_surface=(0, 207, 191), other_flat=(175, 0, 75),
    sidewalk=(75, 0, 75), terrain=(112, 180, 60), manmade=(222, 184, 135), vegetation=(0, 175, 0))

# nuScenes-lidarseg: raw id = position here; (name in its category table, class or None).
NUSCENES_LIDARSEG: Tuple[Tuple[str, Optional[str]], ...] = (
    ('noise', None), ('animal', None), ('human.pedestrian.adult', 'pedestrian'),
    ('human.pedestrian.child', 'pedestrian'), ('human.pedestrian.construction_worker', 'pedestrian'),
    ('human.pedestrian.personal_mobility', None), ('human.pedestrian.police_officer', 'pedestrian'),
    ('human.pedestrian.stroller', None), ('human.pedestrian.wheelchair', None),
    ('movable_object.barrier', 'barrier'), ('movable_object.debris', None), ('movable_object.pushable_pullable', None),
    ('movable_object.trafficcone', 'traffic_cone'), ('static_object.bicycle_rack', None),
    ('vehicle.bicycle', 'bicycle'), ('vehicle.bus.bendy', 'bus'), ('vehicle.bus.rigid', 'bus'), ('vehicle.car', 'car'),
    ('vehicle.construction', 'construction_vehicle'), ('vehicle.emergency.ambulance', None),
    ('vehicle.emergency.police', None), ('vehicle.motorcycle', 'motorcycle'), ('vehicle.trailer', 'trailer'),
    ('vehicle.truck', 'truck'), ('flat.driveable_surface', 'driveable_surface'), ('flat.other', 'other_flat'),
    ('flat.sidewalk', 'sidewalk'), ('flat.terrain', 'terrain'), ('static.manmade', 'manmade'), ('static.other', None),
    ('static.vegetation', 'vegetation'), ('vehicle.ego', None))

NUSCENES16 = LabelSpace(
    'nuScenes16', tuple(_NUSCENES_COLOURS), tuple(_NUSCENES_COLOURS.values()),
    _pairs({raw: name for raw, (_, name) in enumerate(NUSCENES_LIDARSEG)}, tuple(_NUSCENES_COLOURS)),
    (('drivable_surface', 'driveable_surface'),))

# The order of mmdet3d's NuScenesDataset; boxes carry names, so there are no raw ids.
_DETECTION = ('car', 'truck', 'trailer', 'bus', 'construction_vehicle', 'bicycle', 'motorcycle', 'pedestrian',
              'traffic_cone', 'barrier')
NUSCENES_DET10 = LabelSpace('nuScenesDet10', _DETECTION, tuple(_NUSCENES_COLOURS[name] for name in _DETECTION))

_KITTI_COLOURS = {
    'car': (100, 150, 245), 'bicycle': (100, 230, 245), 'motorcycle': (30, 60, 150), 'truck': (80, 30, 180),
    'other-vehicle': (100, 80, 250), 'person': (155, 30, 30), 'bicyclist': (255, 40, 200),
    'motorcyclist': (150, 30, 90), 'road': (255, 0, 255), 'parking': (255, 150, 255), 'sidewalk': (75, 0, 75),
    'other-ground': (175, 0, 75), 'building': (255, 200, 0), 'fence': (255, 120, 50), 'vegetation': (0, 175, 0),
    'trunk': (135, 60, 0), 'terrain': (150, 240, 80), 'pole': (255, 240, 150), 'traffic-sign': (255, 0, 0)}

# SemanticKITTI's 34 raw ids, the lower 16 bits of a label: unlabelled, outlier, other structure and other object
# are ignored; moving things (252 ...) join their class.
SEMANTICKITTI_RAW: Dict[int, Optional[str]] = {
    0: None, 1: None, 10: 'car', 11: 'bicycle', 13: 'other-vehicle', 15: 'motorcycle', 16: 'other-vehicle',
    18: 'truck', 20: 'other-vehicle', 30: 'person', 31: 'bicyclist', 32: 'motorcyclist', 40: 'road', 44: 'parking',
    48: 'sidewalk', 49: 'other-ground', 50: 'building', 51: 'fence', 52: None, 60: 'road', 70: 'vegetation',
    71: 'trunk', 72: 'terrain', 80: 'pole', 81: 'traffic-sign', 99: None, 252: 'car', 253: 'bicyclist',
    254: 'person', 255: 'motorcyclist', 256: 'other-vehicle', 257: 'other-vehicle', 258: 'truck',
    259: 'other-vehicle'}

SEMANTICKITTI19 = LabelSpace(
    'SemanticKITTI19', tuple(_KITTI_COLOURS), tuple(_KITTI_COLOURS.values()),
    _pairs(SEMANTICKITTI_RAW, tuple(_KITTI_COLOURS)),
    # mmdet3d calls the class of buses, trams and other vehicles 'bus', and misspells two.
    mmdet3d_classes=('car', 'bicycle', 'motorcycle', 'truck', 'bus', 'person', 'bicyclist', 'motorcyclist', 'road',
                     'parking', 'sidewalk', 'other-ground', 'building', 'fence', 'vegetation', 'trunck', 'terrian',
                     'pole', 'traffic-sign'))

# Waymo publishes no colours with its labels; these are ours, near to SemanticKITTI's where classes agree.
_WAYMO_COLOURS = {
    'car': (100, 150, 245), 'truck': (80, 30, 180), 'bus': (100, 80, 250), 'other vehicle': (60, 110, 190),
    'motorcyclist': (150, 30, 90), 'bicyclist': (255, 40, 200), 'pedestrian': (155, 30, 30), 'sign': (255, 0, 0),
    'traffic light': (250, 170, 30), 'pole': (255, 240, 150), 'construction cone': (255, 110, 0),
    'bicycle': (100, 230, 245), 'motorcycle': (30, 60, 150), 'building': (255, 200, 0), 'vegetation': (0, 175, 0),
    'tree trunk': (135, 60, 0), 'curb': (170, 170, 170), 'road': (255, 0, 255), 'lane marker': (240, 240, 240),
    'other ground': (175, 0, 75), 'walkable': (150, 240, 80), 'sidewalk': (75, 0, 75)}

# Raw 0 is undefined; 1 ... 22 are the classes in order.
WAYMO22 = LabelSpace(
    'Waymo22', tuple(_WAYMO_COLOURS), tuple(_WAYMO_COLOURS.values()),
    tuple((index + 1, index) for index in range(len(_WAYMO_COLOURS))), (('trunk', 'tree trunk'),))
