"""What SemanticKITTI calls the things of a street: raw ids with moving and standing things apart, and instances."""
from typing import Dict, List, Sequence, Tuple

import numpy as np

from ...label_spaces import NUSCENES_LIDARSEG
from .actors import Instance
from .scene import DETAILS, LidarSweep

OUTLIER, OTHER_OBJECT = 1, 99
MOVING = 0.2  # m/s
# Standing and moving raw id of a thing's category; one that is ridden is its rider, bicycle and all.
THINGS: Dict[str, Tuple[int, int]] = {
    'vehicle.car': (10, 252), 'vehicle.emergency.police': (10, 252), 'vehicle.truck': (18, 258),
    'vehicle.bus.rigid': (13, 257), 'vehicle.bus.bendy': (13, 257), 'vehicle.trailer': (20, 259),
    'vehicle.construction': (20, 259), 'vehicle.emergency.ambulance': (20, 259), 'vehicle.bicycle': (11, 11),
    'vehicle.motorcycle': (15, 15)}
RIDERS: Dict[str, Tuple[int, int]] = {'vehicle.bicycle': (31, 253), 'vehicle.motorcycle': (32, 255)}
PERSON = (30, 254)
# Persons on foot and what they ride on the pavement; strollers count as objects.
PERSONS = ('human.pedestrian.adult', 'human.pedestrian.child', 'human.pedestrian.construction_worker',
           'human.pedestrian.police_officer', 'human.pedestrian.personal_mobility', 'human.pedestrian.wheelchair')
# By the drawing's own finer names: kerbs belong to the sidewalk, crash barriers are fences.
SURFACES: Dict[str, int] = {
    'road': 40, 'parking': 44, 'lane marking': 60, 'road marking': 60, 'kerb': 48, 'sidewalk': 48, 'terrain': 72, 'other ground': 49,
    'building': 50, 'fence': 51, 'vegetation': 70, 'trunk': 71, 'pole': 80, 'traffic sign': 81,
    'traffic light': OTHER_OBJECT, 'other structure': 52, 'barrier': 51, 'cone': OTHER_OBJECT,
    'other object': OTHER_OBJECT}
# Where a surface has no finer name: by lidarseg's category.
CATEGORIES: Dict[str, int] = {
    'noise': OUTLIER, 'movable_object.barrier': 51, 'flat.driveable_surface': 40, 'flat.other': 49,
    'flat.sidewalk': 48, 'flat.terrain': 72, 'static.manmade': 50, 'static.other': 52, 'static.vegetation': 70}


def _surface_table() -> np.ndarray:
    """(details, 32) raw id of a surface's finer name and lidarseg id; things are looked up by their instance."""
    coarse = np.array([CATEGORIES.get(name, OTHER_OBJECT) for name, _ in NUSCENES_LIDARSEG], np.uint32)
    table = np.tile(coarse, (len(DETAILS), 1))
    for row, name in enumerate(DETAILS):
        if name in SURFACES:
            table[row] = SURFACES[name]
    table[:, 0] = OUTLIER  # noise, whatever it bounced off
    return table


def thing_ids(instances: Sequence[Instance], time: float) -> np.ndarray:
    """(I,) uint32 raw id of every instance at a time, 0 for what SemanticKITTI does not count as things."""
    ids: List[int] = []
    for instance in instances:
        pair = PERSON if instance.category in PERSONS else THINGS.get(instance.category, (0, 0))
        if instance.category in RIDERS and instance.attribute(time) == 'cycle.with_rider':
            pair = RIDERS[instance.category]
        ids.append(pair[bool(np.linalg.norm(instance.velocity(time)) > MOVING)])
    return np.array(ids, np.uint32)


def kitti_labels(sweep: LidarSweep, instances: Sequence[Instance], time: float, first: int = 1) -> np.ndarray:
    """Labels of a sweep as SemanticKITTI's files hold them.

    Args:
        sweep: (N,) points. instances: the street's. time: of the sweep, seconds.
        first: number of the street's first instance in its sequence.

    Returns:
        (N,) uint32: instance number << 16 | raw id; number 0 for all but things.
    """
    labels = _surface_table()[sweep.detail, sweep.raw_label]
    ids = np.append(thing_ids(instances, time), np.uint32(0))  # row -1: no instance
    thing = np.where(sweep.raw_label == 0, 0, ids[sweep.instance])
    numbers = (sweep.instance + first).astype(np.uint32)
    return np.where(thing > 0, numbers << 16 | thing, labels).astype(np.uint32)
