"""A street: what stands and moves on it, and what the ego's sensors see of it at any time.

Times are seconds from the first keyframe; sensors may be asked a little outside [0, duration] (cameras fire up to
50 ms before the LiDAR's time stamp). Global frame: metres, z up, the map's lower left corner at the origin.
Pixels: see :mod:`.rig` (the pixel of a projected point is its floor).
"""
from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np

from .actors import Flow, Instance, Path
from .caster import Caster
from .presets import KEYFRAME_GAP, LOCATIONS, StreetPreset
from .rays import camera_rays, lidar_rays, stream
from .rig import CAMERA_DELAY, CAMERAS, LIDARS, Sensor, rig
from .road import KERB, Road
from .solids import Mesh, box, quads
from .surfaces import DETAILS, RAW, Palette, Surface

__all__ = ['CAMERAS', 'CAMERA_DELAY', 'DETAILS', 'Instance', 'LidarSweep', 'Sensor', 'Street', 'draw_street', 'rig']
MAP_RESOLUTION = 0.1  # metres per pixel, what nuscenes-devkit expects of map masks


@dataclass
class LidarSweep:
    """One turn of the LiDAR; every point as of the sweep's time (the ego's motion within a turn is compensated).

    Attributes:
        points: (N, 5) float32 x y z intensity (0 ... 255) ring, sensor frame.
        raw_label: (N,) uint8 raw id of nuScenes lidarseg.
        instance: (N,) int64 row of the street's instances, -1 for none.
        detail: (N,) uint8 row of :data:`DETAILS`, finer than lidarseg, for writers of other data sets.
    """
    points: np.ndarray
    raw_label: np.ndarray
    instance: np.ndarray
    detail: np.ndarray


class Street:
    """A drawn street; made by :func:`draw_street`.

    Attributes:
        name, location, description: as nuScenes's scene and log tables hold them.
        instances: all things with boxes. times: (K,) seconds of the keyframes. duration: of the last keyframe.
        rig: channel -> :class:`Sensor`.
    """

    def __init__(self, name: str, preset: StreetPreset, seed: int, sensor: str) -> None:
        self.name, self.preset, self.seed, self.sensor = name, preset, seed, sensor
        self.location = LOCATIONS.get(name, 'boston-seaport')
        self.description = 'drawn street'
        self.rig: Dict[str, Sensor] = rig(preset, sensor)
        self.times = KEYFRAME_GAP * np.arange(preset.keyframes)
        self.duration = float(self.times[-1])
        rng = stream(seed, name, 'street')
        self.road = Road(rng, 400, (300.0, 300.0))
        self.flow = Flow(6.0)
        self.instances: List[Instance] = []
        self.palette = Palette()
        self._ego = Path(self.road, 150.0, self.road.lane(1), 1, self.flow)
        self._crude()
        self._still = Caster.layer(self._ground, [-1] * len(self._ground))
        self._cache: Tuple[float, Caster] = (np.nan, None)

    def _crude(self) -> None:
        add = self.palette.add
        s = np.arange(0, self.road.length, 4.0)
        self._ground: List[Mesh] = []
        bands = ((-60, -30, 'static.manmade', 8.0), (-30, -18, 'flat.terrain', 0.1), (-18, -KERB, 'flat.sidewalk', .15),
                 (-KERB, -1, 'flat.driveable_surface', 0.0), (-1, 1, 'flat.other', 0.1))
        for low, high, name, z in [*bands, *((-b, -a, n, z) for a, b, n, z in bands[:-1])]:
            row = add(Surface((0.4, 0.4, 0.4), raw=RAW[name]))
            edge = [np.concatenate([self.road.place(s + ds, d), np.full((len(s), 1), z)], 1)
                    for ds, d in ((0, low), (4.0, low), (4.0, high), (0, high))]
            self._ground.append(quads(np.stack(edge, 1), row))
        for index, (category, size) in enumerate((
                ('vehicle.car', (1.9, 4.5, 1.6)), ('vehicle.truck', (2.4, 7.0, 3.0)),
                ('vehicle.bus.rigid', (2.9, 11.0, 3.4)), ('vehicle.trailer', (2.8, 11.0, 3.8)),
                ('vehicle.construction', (2.6, 6.0, 3.0)), ('vehicle.motorcycle', (0.8, 2.1, 1.5)),
                ('vehicle.bicycle', (0.6, 1.8, 1.4)), ('human.pedestrian.adult', (0.7, 0.7, 1.75)),
                ('movable_object.trafficcone', (0.4, 0.4, 0.9)), ('movable_object.barrier', (2.0, 0.5, 1.0)))):
            moves = category == 'vehicle.car'
            path = Path(self.road, 130.0 + 6 * index, self.road.lane(2), 1, self.flow if moves else None)
            self.instances.append(Instance(index, category, np.array(size), path))
            row = add(Surface((0.7, 0.2, 0.2), raw=RAW[category], detail='vehicle'))
            self.instances[-1].mesh = box((-size[1] / 2, -size[0] / 2, -size[2] / 2), np.array(size)[[1, 0, 2]] / 2, row)

    def ego_pose(self, time: float) -> np.ndarray:
        """(4, 4) ego to global."""
        xy, yaw = self._ego.pose(time)
        pose = np.eye(4)
        pose[:2, :2] = ((np.cos(yaw), -np.sin(yaw)), (np.sin(yaw), np.cos(yaw)))
        pose[:2, 3] = xy
        return pose

    def _caster(self, time: float) -> Caster:
        if self._cache[0] != time:
            meshes = []
            for instance in self.instances:
                centre, yaw = instance.pose(time)
                meshes.append(instance.mesh.moved(yaw, centre))
            self._cache = (time, Caster([self._still, Caster.layer(meshes, list(range(len(meshes))))]))
        return self._cache[1]

    def lidar(self, time: float, rng_key: int = 0) -> LidarSweep:
        """One sweep at a time; ``rng_key`` is one more key of its noise."""
        model = LIDARS[self.sensor]
        rng = stream(self.seed, self.name, 'LIDAR_TOP', self.sensor, round(time * 1e6), rng_key)
        azimuths = int(round(self.preset.azimuths * model.azimuth_factor))
        rays = lidar_rays(model.elevations, azimuths, model.forward_yaw)
        ring = np.tile(np.arange(len(model.elevations)), azimuths)
        pose = self.ego_pose(time) @ self.rig['LIDAR_TOP'].pose
        hits = self._caster(time).cast(pose[:3, 3], rays @ pose[:3, :3].T)
        seen = hits.distance < model.reach
        distance = hits.distance[seen] + rng.normal(0, model.noise, seen.sum())
        xyz = rays[seen] * distance[:, None]
        points = np.concatenate([xyz, np.full((len(xyz), 1), 20.0), ring[seen, None]], 1).astype(np.float32)
        return LidarSweep(points, self.palette.column('raw')[hits.surface[seen]].astype(np.uint8), hits.owner[seen],
                          self.palette.column('detail')[hits.surface[seen]].astype(np.uint8))

    def image(self, channel: str, time: float) -> np.ndarray:
        """(H, W, 3) uint8 of a camera at its own time."""
        depth = self.depth(channel, time)
        grey = np.where(np.isfinite(depth), 255 * np.exp(-depth / 30), 200)
        return np.repeat(grey[..., None], 3, 2).astype(np.uint8)

    def depth(self, channel: str, time: float) -> np.ndarray:
        """(H, W) float32 metres along the optical axis through the pixels' middles, inf for the sky."""
        sensor, (width, height) = self.rig[channel], self.preset.image_size
        rays = camera_rays(sensor.intrinsic, width, height)
        length = np.linalg.norm(rays, axis=1)
        pose = self.ego_pose(time) @ sensor.pose
        hits = self._caster(time).cast(pose[:3, 3], rays / length[:, None] @ pose[:3, :3].T)
        return (hits.distance / length).reshape(height, width).astype(np.float32)

    def ground_mask(self) -> Tuple[np.ndarray, float]:
        """(H, W) uint8, 255 where one can drive, and metres per pixel; row 0 is the north edge, as in map/*.png."""
        return np.full((6000, 6000), 255, np.uint8), MAP_RESOLUTION


def draw_street(name: str, preset: StreetPreset, seed: int, sensor: str = 'nuscenes') -> Street:
    """Draw a street; the same arguments give the same street, and the same bytes of every sensor.

    Args:
        name: of the scene, e.g. 'scene-0061'. preset: its size. seed: of everything drawn.
        sensor: whose LiDAR sees it: 'nuscenes', 'semantickitti' or 'waymo'.
    """
    return Street(name, preset, seed, sensor)
