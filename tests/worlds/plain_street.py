"""A street that costs nothing to draw, for tests of what writes streets to disk."""
import dataclasses

import numpy as np
from pretrain3d.worlds.street.presets import PRESETS
from pretrain3d.worlds.street.scene import LidarSweep

LITTLE = dataclasses.replace(PRESETS['tiny'], name='little', keyframes=2, image_size=(32, 18), samples=1, azimuths=60)


class PlainThing:
    """A car that stands four metres ahead of where the ego starts."""
    token_seed, category, size = 0, 'vehicle.car', np.array([2.0, 4.0, 1.5])

    def pose(self, time):
        return np.array([14.0, 20.0, 0.75]), 0.3

    def attribute(self, time):
        return 'vehicle.parked'


class PlainStreet:
    """What a street offers to its writers, made of random numbers."""
    location, description, instances = 'boston-seaport', 'nothing', [PlainThing()]

    def __init__(self, name, preset, seed):
        self.preset, self.key = preset, [seed, *name.encode()]
        self.times = 0.5 * np.arange(preset.keyframes)

    def ego_pose(self, time):
        pose = np.eye(4)
        pose[:3, 3] = 10 + time, 20, 0
        return pose

    def lidar(self, time, rng_key=0):
        points = np.random.default_rng([*self.key, rng_key]).uniform(-5, 5, (200, 5)).astype(np.float32)
        return LidarSweep(points, np.full(200, 17, np.uint8), np.zeros(200, np.int64), np.zeros(200, np.uint8))

    def image(self, channel, time):
        width, height = self.preset.image_size
        return np.random.default_rng([*self.key, *channel.encode()]).integers(0, 255, (height, width, 3), np.uint8)

    def depth(self, channel, time):
        return np.full(self.preset.image_size[::-1], np.inf, np.float32)

    def ground_mask(self):
        return np.full((300, 300), 255, np.uint8), 0.1
