"""What Waymo calls the things of a street: its 22 classes, 0 for what has none, and instances."""
from typing import Dict, Sequence, Tuple

import numpy as np

from ...label_spaces import NUSCENES_LIDARSEG, WAYMO22
from .actors import Instance
from .scene import DETAILS, LidarSweep

UNDEFINED = 0
# By category; what is ridden is its rider, cycle and all. Buses of both kinds, and an ambulance as the van it is.
THINGS: Dict[str, str] = {
    'vehicle.car': 'car', 'vehicle.emergency.police': 'car', 'vehicle.truck': 'truck', 'vehicle.bus.rigid': 'bus',
    'vehicle.bus.bendy': 'bus', 'vehicle.trailer': 'other vehicle', 'vehicle.construction': 'other vehicle',
    'vehicle.emergency.ambulance': 'other vehicle', 'vehicle.bicycle': 'bicycle', 'vehicle.motorcycle': 'motorcycle',
    'human.pedestrian.adult': 'pedestrian', 'human.pedestrian.child': 'pedestrian',
    'human.pedestrian.construction_worker': 'pedestrian', 'human.pedestrian.police_officer': 'pedestrian',
    'human.pedestrian.personal_mobility': 'pedestrian', 'human.pedestrian.wheelchair': 'pedestrian',
    'movable_object.trafficcone': 'construction cone'}
RIDERS: Dict[str, str] = {'vehicle.bicycle': 'bicyclist', 'vehicle.motorcycle': 'motorcyclist'}
# By the drawing's finer names. Lane markers are what divides lanes; other markings, crossings, arrows and stop lines, are
# what Waymo calls other ground, and so are bumps and rails, of which a town has none. Fences, crash barriers, and street furniture have no class of Waymo's; paved islands
# and forecourts are what it calls walkable: level, and neither for driving nor a sidewalk.
SURFACES: Dict[str, str] = {
    'road': 'road', 'parking': 'road', 'lane marking': 'lane marker', 'road marking': 'other ground',
    'kerb': 'curb', 'sidewalk': 'sidewalk', 'terrain': 'walkable', 'other ground': 'walkable', 'building': 'building',
    'vegetation': 'vegetation', 'trunk': 'tree trunk', 'pole': 'pole', 'traffic sign': 'sign',
    'traffic light': 'traffic light'}
NAMELESS = ('fence', 'barrier', 'other structure', 'other object')
# Where a surface has no finer name: by lidarseg's category.
CATEGORIES: Dict[str, str] = {
    'flat.driveable_surface': 'road', 'flat.other': 'walkable', 'flat.sidewalk': 'sidewalk',
    'flat.terrain': 'walkable', 'static.manmade': 'building', 'static.vegetation': 'vegetation'}


def raw_class(name: str) -> int:
    """Raw id of a class: 1 ... 22."""
    return WAYMO22.index(name) + 1


def _surface_table() -> np.ndarray:
    """(details, 32) raw class of a surface's finer name and lidarseg id; things are looked up by their instance."""
    coarse = [raw_class(CATEGORIES[name]) if name in CATEGORIES else UNDEFINED for name, _ in NUSCENES_LIDARSEG]
    table = np.tile(np.array(coarse, np.int32), (len(DETAILS), 1))
    for row, name in enumerate(DETAILS):
        if name in SURFACES:
            table[row] = raw_class(SURFACES[name])
        elif name in NAMELESS:
            table[row] = UNDEFINED
    table[:, 0] = UNDEFINED  # noise, whatever it bounced off
    return table


def thing_classes(instances: Sequence[Instance], time: float) -> np.ndarray:
    """(I,) int32 raw class of every instance at a time, 0 for what has none."""
    names = [RIDERS[each.category] if each.category in RIDERS and each.attribute(time) == 'cycle.with_rider'
             else THINGS.get(each.category) for each in instances]
    return np.array([UNDEFINED if name is None else raw_class(name) for name in names], np.int32)


def waymo_labels(sweep: LidarSweep, instances: Sequence[Instance], time: float) -> Tuple[np.ndarray, np.ndarray]:
    """Instances and raw classes of a sweep's points.

    Args:
        sweep: (N,) points. instances: the street's. time: of the sweep, seconds.

    Returns:
        (N,) int32 instance, counted from 1, 0 for all but things with a class; (N,) int32 raw class 0 ... 22.
    """
    classes = np.append(thing_classes(instances, time), np.int32(UNDEFINED))  # row -1: no instance
    thing = np.where(sweep.raw_label == 0, UNDEFINED, classes[sweep.instance])
    surface = _surface_table()[sweep.detail, sweep.raw_label]
    numbers = np.where(thing > 0, sweep.instance + 1, 0)
    return numbers.astype(np.int32), np.where(thing > 0, thing, surface).astype(np.int32)
