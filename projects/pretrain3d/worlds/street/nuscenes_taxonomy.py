"""What every nuScenes release shares: categories, attributes, visibility levels, sensors, and how tokens are made."""
import hashlib
from typing import Dict, List

from ...label_spaces import NUSCENES_LIDARSEG

VERSION_NAME = 'v1.0-mini'
# The release's 13 tables, and those that its lidarseg and panoptic extensions add.
TABLES = ('attribute', 'calibrated_sensor', 'category', 'ego_pose', 'instance', 'log', 'map', 'sample',
          'sample_annotation', 'sample_data', 'scene', 'sensor', 'visibility', 'lidarseg', 'panoptic')

# Name -> raw lidarseg id of the 32 categories.
RAW_IDS: Dict[str, int] = {name: raw for raw, (name, _) in enumerate(NUSCENES_LIDARSEG)}
CATEGORY_NOTES = {
    'noise': 'Returns that belong to nothing: reflections, rain, dust.',
    'animal': 'Any animal.',
    'human.pedestrian.adult': 'Grown-up on foot.',
    'human.pedestrian.child': 'Child on foot.',
    'human.pedestrian.construction_worker': 'Person in working clothes at a construction site.',
    'human.pedestrian.personal_mobility': 'Person on a skateboard, scooter or segway.',
    'human.pedestrian.police_officer': 'Police officer of any kind.',
    'human.pedestrian.stroller': 'Stroller, with or without a child.',
    'human.pedestrian.wheelchair': 'Wheelchair, with or without a person.',
    'movable_object.barrier': 'Temporary barrier that blocks a road; one box for each connected piece.',
    'movable_object.debris': 'Something left on the road that is too large to be driven over.',
    'movable_object.pushable_pullable': 'Something that a person can push or pull: bin, trolley, dolly.',
    'movable_object.trafficcone': 'Traffic cones of all kinds.',
    'static_object.bicycle_rack': 'Rack for parked bicycles.',
    'vehicle.bicycle': 'Human or electric two-wheeler, with its rider if it has one.',
    'vehicle.bus.bendy': 'Bus of several rigid parts.',
    'vehicle.bus.rigid': 'Bus of one part.',
    'vehicle.car': 'Car for everyday use: saloon, hatchback, estate, van, small pick-up.',
    'vehicle.construction': 'Vehicle made for construction: excavator, crane, roller.',
    'vehicle.emergency.ambulance': 'Ambulance of any kind.',
    'vehicle.emergency.police': 'Police vehicle of any kind.',
    'vehicle.motorcycle': 'Motor two-wheeler, with its rider if it has one.',
    'vehicle.trailer': 'Trailer of a truck, car or bicycle.',
    'vehicle.truck': 'Vehicle made to haul goods; the cab of a lorry.',
    'flat.driveable_surface': 'Ground that a car may drive on.',
    'flat.other': 'Flat ground of another kind: traffic islands, kerbs, water.',
    'flat.sidewalk': 'Ways for people on foot or bicycles.',
    'flat.terrain': 'Grass, earth, sand.',
    'static.manmade': 'Walls, buildings, poles, lights, signs.',
    'static.other': 'Static things of another kind.',
    'static.vegetation': 'Trees, bushes, plants.',
    'vehicle.ego': 'The recording vehicle itself.'}
ATTRIBUTES = {
    'vehicle.moving': 'Vehicle is moving.',
    'vehicle.stopped': 'Vehicle with a driver stands still, for instance at a light.',
    'vehicle.parked': 'Vehicle stands still and is not going to move soon.',
    'cycle.with_rider': 'There is a rider on the bicycle or motorcycle.',
    'cycle.without_rider': 'There is no rider on the bicycle or motorcycle.',
    'pedestrian.sitting_lying_down': 'The person sits or lies.',
    'pedestrian.standing': 'The person stands.',
    'pedestrian.moving': 'The person moves.'}
# Token -> (level, upper end of the share that is visible).
VISIBILITY = {'1': ('v0-40', 0.4), '2': ('v40-60', 0.6), '3': ('v60-80', 0.8), '4': ('v80-100', 1.0)}
LIDAR = 'LIDAR_TOP'


def token(*parts: object) -> str:
    """A token as nuScenes has them, 32 hexadecimal digits; the same parts give the same token."""
    return hashlib.md5('/'.join(map(str, parts)).encode()).hexdigest()


def category_token(name: str) -> str:
    """Token of a category; the same in every world."""
    return token('category', name)


def attribute_token(name: str) -> str:
    """Token of an attribute; the same in every world."""
    return token('attribute', name)


def visibility_token(share: float) -> str:
    """Token of the visibility level of an object of which ``share`` (0 to 1) is visible."""
    for key, (_, upper) in VISIBILITY.items():
        if share <= upper:
            return key
    return '4'


def shared_tables(channels: List[str]) -> Dict[str, List[dict]]:
    """The records that do not depend on any scene: category, attribute, visibility and sensor."""
    return dict(
        category=[dict(token=category_token(name), name=name, description=CATEGORY_NOTES[name], index=raw)
                  for name, raw in RAW_IDS.items()],
        attribute=[dict(token=attribute_token(name), name=name, description=note) for name, note in ATTRIBUTES.items()],
        visibility=[dict(token=key, level=level,
                         description=f'visibility of whole object is between {level[1:].replace("-", " and ")}%')
                    for key, (level, _) in VISIBILITY.items()],
        sensor=[dict(token=token('sensor', channel), channel=channel,
                     modality='lidar' if channel == LIDAR else 'camera') for channel in channels])
