"""The turning LiDAR: ranges with noise, returns that get lost, intensities from material and incidence."""
from dataclasses import dataclass
from typing import Optional

import numpy as np

from .caster import Caster
from .patterns import look_at
from .rays import lidar_rays
from .rig import LidarModel
from .surfaces import Palette


@dataclass
class LidarSweep:
    """One turn of the LiDAR; every point as of the sweep's time (the ego's motion within a turn is compensated).

    Attributes:
        points: (N, 5) float32 x y z intensity (0 ... 255, whole numbers) ring (0: the lowest beam), sensor frame,
            column by column as the sensor turns clockwise, starting behind.
        raw_label: (N,) uint8 raw id of nuScenes lidarseg.
        instance: (N,) int64 row of the street's instances, -1 for none.
        detail: (N,) uint8 row of :data:`.surfaces.DETAILS`, finer than lidarseg, for writers of other data sets.
    """
    points: np.ndarray
    raw_label: np.ndarray
    instance: np.ndarray
    detail: np.ndarray


# Power below which a return is as likely lost as not: asphalt, 1.84 m below the sensor, is heard to about 45 m.
_THRESHOLD = 1.2e-6


def scan(caster: Caster, palette: Palette, model: LidarModel, azimuths: int, pose: np.ndarray,
         rng: np.random.Generator, columns: Optional[np.ndarray] = None) -> LidarSweep:
    """One sweep from ``pose`` (4, 4), sensor to global, with ``azimuths`` columns.

    With ``columns`` (C,) int only these are looked along, and nothing beyond the model's reach is looked for.
    A return's power is material x cos(incidence) / range^2; the chance to hear it rises smoothly with it.
    """
    rays = lidar_rays(model.elevations, azimuths, model.forward_yaw)
    if columns is not None:
        rays = rays.reshape(azimuths, -1, 3)[columns].reshape(-1, 3)
    ring = np.tile(np.arange(len(model.elevations), dtype=np.float32), azimuths if columns is None else len(columns))
    directions = rays @ pose[:3, :3].T
    hits = caster.cast(pose[:3, 3], directions, **({} if columns is None else dict(reach=model.reach)))
    # Random numbers are drawn for all rays: what one ray hits does not change another's.
    error = rng.standard_normal(len(rays)) * model.noise
    chance, speckle = rng.random(len(rays)), rng.standard_normal(len(rays))
    seen, distance = hits.ray, hits.distance[hits.ray].astype(np.float64)
    cosine = np.abs(np.einsum('ij,ij->i', hits.normal, directions[seen]))
    look = look_at(palette, hits.surface, hits.uv, hits.triangle, np.full(len(seen), 0.02, np.float32))
    power = np.where(distance < model.reach, look.reflect * cosine / distance ** 2, 0)
    heard = chance[seen] < 0.985 / (1 + (_THRESHOLD / np.maximum(power, 1e-12)) ** 1.5)
    response = look.reflect * (0.25 + 0.75 * np.sqrt(cosine)) * np.exp(0.25 * speckle[seen])
    intensity = np.clip(255 * model.gain * 0.36 * response ** model.compress, 0, 255)
    seen, intensity, distance, surface = seen[heard], intensity[heard], distance[heard], hits.surface[heard]
    xyz = rays[seen] * (distance + error[seen])[:, None]
    points = np.concatenate([xyz, np.floor(intensity)[:, None], ring[seen, None]], 1).astype(np.float32)
    return LidarSweep(points, palette.column('raw')[surface], hits.owner[heard].astype(np.int64),
                      palette.column('detail')[surface])
