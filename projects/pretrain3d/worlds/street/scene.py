"""A street: what stands and moves on it, and what the ego's sensors see of it at any time.

Times are seconds from the first keyframe; sensors may be asked a little outside [0, duration] (cameras fire up to
50 ms before the LiDAR's time stamp). Global frame: metres, z up, the map's lower left corner at the origin.
Pixels: see :mod:`.rig` (the pixel of a projected point is its floor).
"""
from typing import Dict, List, Tuple

import numpy as np

from .actors import Flow, Instance, Path
from .buildings import line_with_buildings
from .camera import draw_weather, photograph
from .caster import Caster, Movers, still_layer
from .furniture import furnish
from .ground import Ground
from .lidar import LidarSweep, scan
from .plants import grow
from .presets import KEYFRAME_GAP, LOCATIONS, SCENES, StreetPreset
from .rays import camera_rays, stream
from .rig import CAMERA_DELAY, CAMERAS, LIDARS, LidarModel, Sensor, rig
from .road import Road, plan
from .surfaces import DETAILS, Palette
from .traffic import Traffic

__all__ = ['CAMERAS', 'CAMERA_DELAY', 'DETAILS', 'Instance', 'LidarSweep', 'Sensor', 'Street', 'draw_street', 'rig']
MAP_RESOLUTION = 0.1  # metres per pixel, what nuscenes-devkit expects of map masks
_BEFORE, _AFTER = 110.0, 130.0  # metres of road behind the ego's start and before its end
_SIGHT, _NEAR = 160.0, 22.0  # metres within which movers are drawn, and are so even behind a camera
_LOW_RISE = ('singapore-queenstown', 'singapore-hollandvillage')


class Street:
    """A drawn street; made by :func:`draw_street`.

    Attributes:
        name, location, description: as nuScenes's scene and log tables hold them.
        instances: all things with boxes. times: (K,) seconds of the keyframes. duration: of the last keyframe.
        rig: channel -> :class:`Sensor`. preset, seed, sensor: what it was drawn with.
    """

    def __init__(self, name: str, preset: StreetPreset, seed: int, sensor: str = 'nuscenes') -> None:
        self.name, self.preset, self.seed, self.sensor = name, preset, seed, sensor
        self.location = LOCATIONS.get(name, 'boston-seaport')
        self.rig: Dict[str, Sensor] = rig(preset, sensor)
        self.times = KEYFRAME_GAP * np.arange(preset.keyframes)
        self.duration = float(self.times[-1])
        rng = stream(seed, name, 'street')
        flow = Flow(rng.uniform(5.5, 7.5), 0.5, 18.0, rng.uniform(0, 2 * np.pi))
        travel = flow.travelled(self.duration)
        side = -1 if self.location.startswith('singapore') else 1
        self._road = Road(rng, _BEFORE + travel + _AFTER, side)
        self._extent = self._to_the_corner()
        self._ego = Path(self._road, _BEFORE, self._road.lane(2), 1, flow)
        # In scenes for validation works are where they are surely seen; elsewhere anywhere near.
        ahead = rng.uniform(5, 8) if dict(SCENES).get(name) == 'val' else rng.uniform(-20, 32)
        self._sections = plan(rng, self._road, _BEFORE + travel / 2 + ahead)
        self._palette = Palette()
        reach = 60.0 + 10.0 * self.duration  # vehicles drive on beyond the road's ends
        self._ground = Ground(rng, self._road, self._sections, self._palette, reach)
        meshes = [self._ground.build()]
        meshes += line_with_buildings(rng, self._palette, self._road, self._sections, self.location not in _LOW_RISE,
                                      reach)
        meshes += grow(rng, self._palette, self._road, self._sections)
        meshes += furnish(rng, self._palette, self._road, self._sections)
        self.weather = draw_weather(rng)
        self.instances: List[Instance] = Traffic(rng, self._road, self._sections, self._palette, self._ego,
                                                 self.duration).fill()
        owners = [-1] * len(meshes)
        for row, instance in enumerate(self.instances):
            if not instance.moves:
                meshes.append(self._placed(instance, 0.0))
                owners.append(row)
        self._still = still_layer([mesh.clean() for mesh in meshes], owners)
        moving = [row for row, instance in enumerate(self.instances) if instance.moves]
        self._movers = Movers([self.instances[row] for row in moving], moving)
        self._cache: Dict[Tuple[str, float], Caster] = {}
        self.description = self._describe()

    def _to_the_corner(self) -> np.ndarray:
        """Shift the road so that all ground lies right of and above the origin; (2,) the extent in metres."""
        s, d = np.meshgrid(np.linspace(-70, self._road.length + 70, 60), (-125.0, 0.0, 125.0))
        corners = self._road.place(s, d).reshape(-1, 2)
        self._road.shift(np.ceil(10 - corners.min(0)))
        return np.ceil(corners.max(0) - corners.min(0)) + 20

    def _describe(self) -> str:
        """A few words, as nuScenes's scene table has them."""
        count = {}
        for each in self.instances:
            word = each.category.split('.')[-1 if each.category.startswith('vehicle.c') else 1]
            count[word] = count.get(word, 0) + 1
        words = sorted(count, key=lambda word: (-count[word], word))[:4]
        return f'Drawn street, {self.weather.name}, ' + ', '.join(f'{count[word]} {word}' for word in words)

    @staticmethod
    def _placed(instance: Instance, time: float):
        centre, yaw = instance.pose(time)
        return instance.mesh.moved(yaw, centre)

    def ego_pose(self, time: float) -> np.ndarray:
        """(4, 4) ego to global."""
        xy, yaw = self._ego.pose(time)
        pose = np.eye(4)
        pose[:2, :2] = ((np.cos(yaw), -np.sin(yaw)), (np.sin(yaw), np.cos(yaw)))
        pose[:2, 3] = xy
        return pose

    def _caster(self, channel: str, time: float) -> Caster:
        """What a sensor can see at a time; the last one is kept."""
        if (channel, time) not in self._cache:
            centres, yaws = self._movers.poses(time)
            away = centres - (self.ego_pose(time) @ self.rig[channel].pose)[:3, 3]
            distance = np.linalg.norm(away, axis=1)
            shown = distance < (_SIGHT if channel in CAMERAS else LIDARS[self.sensor].reach + 10)
            if channel in CAMERAS:  # what is behind a camera is seen at most by its shadow, and that only if near
                axis = (self.ego_pose(time) @ self.rig[channel].pose)[:3, 2]
                shown &= (away @ axis > np.cos(self._half_angle(channel)) * distance) | (distance < _NEAR)
            self._cache = {(channel, time): Caster([self._still, self._movers.layer(centres, yaws, shown)])}
        return self._cache[channel, time]

    def _half_angle(self, channel: str) -> float:
        """Radians from the optical axis to what may still be in an image, with room for the size of things."""
        return float(np.arctan(self.preset.image_size[0] / 2 / self.rig[channel].intrinsic[0, 0]) + 0.35)

    def lidar(self, time: float, rng_key: int = 0) -> LidarSweep:
        """One sweep at a time; ``rng_key`` is one more key of its noise, beside seed, scene, sensor and time."""
        model = LIDARS[self.sensor]
        rng = stream(self.seed, self.name, 'LIDAR_TOP', self.sensor, round(time * 1e6), rng_key)
        pose = self.ego_pose(time) @ self.rig['LIDAR_TOP'].pose
        azimuths = int(round(self.preset.azimuths * model.azimuth_factor))
        return scan(self._caster('LIDAR_TOP', time), self._palette, model, azimuths, pose, rng)

    def near_lidar(self, name: str, model: LidarModel, azimuths: int, columns: np.ndarray, mount: np.ndarray,
                   time: float, rng_key: int = 0) -> LidarSweep:
        """One sweep of a LiDAR of short reach, one of several beside the rig's.

        Args:
            name: of its noise's stream. model, azimuths, columns: see :func:`.lidar.scan`. mount: (4, 4) to the ego.
            time, rng_key: see :meth:`lidar`.
        """
        if ('near', time) not in self._cache:
            centres, yaws = self._movers.poses(time)
            shown = np.linalg.norm(centres - self.ego_pose(time)[:3, 3], axis=1) < model.reach + 16
            layers = [self._movers.layer(centres, yaws, shown)] if shown.any() else []
            self._cache = {('near', time): Caster([self._still, *layers])}
        rng = stream(self.seed, self.name, name, self.sensor, round(time * 1e6), rng_key)
        return scan(self._cache['near', time], self._palette, model, azimuths, self.ego_pose(time) @ mount, rng,
                    columns)

    def image(self, channel: str, time: float) -> np.ndarray:
        """(H, W, 3) uint8 of a camera at its own time."""
        sensor, rng = self._camera(channel), stream(self.seed, self.name, channel, round(time * 1e6))
        pose = self.ego_pose(time) @ sensor.pose
        return photograph(self._caster(channel, time), self._palette, self.weather, pose, sensor,
                          *self.preset.image_size, self.preset.samples, rng)

    def depth(self, channel: str, time: float) -> np.ndarray:
        """(H, W) float32 metres along the optical axis through the pixels' middles, inf for the sky."""
        sensor, (width, height) = self._camera(channel), self.preset.image_size
        rays = camera_rays(sensor.intrinsic, width, height)
        length = np.linalg.norm(rays, axis=1)
        pose = self.ego_pose(time) @ sensor.pose
        hits = self._caster(channel, time).cast(pose[:3, 3], rays / length[:, None] @ pose[:3, :3].T)
        return (hits.distance / length).reshape(height, width).astype(np.float32)

    def _camera(self, channel: str) -> Sensor:
        if channel not in CAMERAS:
            raise ValueError(f'{channel!r} is no camera of the rig; choose one of {CAMERAS}')
        return self.rig[channel]

    def ground_mask(self) -> Tuple[np.ndarray, float]:
        """(H, W) uint8, 255 where one can drive, and metres per pixel; row 0 is the north edge, as in nuScenes's maps.

        The lower left corner is the global frame's origin.
        """
        from PIL import Image, ImageDraw
        width, height = (int(np.ceil(metres / MAP_RESOLUTION)) for metres in self._extent)
        mask = Image.new('L', (width, height))
        pen = ImageDraw.Draw(mask)
        for area in self._ground.drivable():
            pixels = np.stack([area[:, 0] / MAP_RESOLUTION, height - area[:, 1] / MAP_RESOLUTION], 1)
            pen.polygon([tuple(pixel) for pixel in pixels], fill=255)
        return np.asarray(mask), MAP_RESOLUTION


def draw_street(name: str, preset: StreetPreset, seed: int, sensor: str = 'nuscenes') -> Street:
    """Draw a street; the same arguments give the same street, and the same bytes of every sensor.

    Args:
        name: of the scene, e.g. 'scene-0061'. preset: its size. seed: of everything drawn.
        sensor: whose LiDAR sees it: 'nuscenes', 'semantickitti' or 'waymo'; the street is the same for all.
    """
    return Street(name, preset, seed, sensor)
