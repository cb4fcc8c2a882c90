"""RGB-D frames of a hand-held camera that walks through a room.

Camera frame: x right, y down, z forward (OpenCV). ``pose`` (4, 4) maps camera to world. Depth is the z coordinate.
"""
from dataclasses import dataclass
from typing import List

import numpy as np

from ..render import Caster
from .layout import Room

EYE_HEIGHT = (1.35, 1.7)
CLEARANCE = 0.35


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera: image size in pixels, focal length and principal point (pixel centres at integers)."""
    width: int
    height: int
    focal: float

    @property
    def matrix(self) -> np.ndarray:
        """(4, 4) camera to image."""
        matrix = np.eye(4)
        matrix[0, 0] = matrix[1, 1] = self.focal
        matrix[0, 2], matrix[1, 2] = (self.width - 1) / 2, (self.height - 1) / 2
        return matrix

    def rays(self) -> np.ndarray:
        """(height * width, 3) directions with z = 1, row by row."""
        u, v = np.meshgrid(np.arange(self.width), np.arange(self.height))
        x, y = (u - (self.width - 1) / 2) / self.focal, (v - (self.height - 1) / 2) / self.focal
        return np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3)


@dataclass
class Frame:
    """One RGB-D frame: ``colour`` (H, W, 3) uint8, ``depth`` (H, W) uint16 millimetres (0: none), ``pose`` (4, 4)."""
    colour: np.ndarray
    depth: np.ndarray
    pose: np.ndarray


def look_at(eye: np.ndarray, target: np.ndarray, roll: float = 0.0) -> np.ndarray:
    """(4, 4) camera-to-world pose at ``eye`` (3,) that looks at ``target`` (3,), turned by ``roll`` radians."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    cos, sin = np.cos(roll), np.sin(roll)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([cos * right + sin * down, cos * down - sin * right, forward], 1)
    pose[:3, 3] = eye
    return pose


def stations(rng: np.random.Generator, room: Room, caster: Caster, count: int) -> List[List[np.ndarray]]:
    """``count`` camera poses (4, 4) that together see the room: for each floor rectangle a round of standing points.

    Every rectangle gets its share in proportion to its area; gaze turns once around, each view crosses the room.
    """
    areas = np.array([(f[2] - f[0]) * (f[3] - f[1]) for f in room.floors])
    share = np.maximum(np.round(count * areas / areas.sum()).astype(int), 2)
    rounds: List[List[np.ndarray]] = []
    for floor, views in zip(room.floors, share):
        start = rng.uniform(0, 2 * np.pi)
        rounds.append([_pose(rng, floor, caster, start + 2 * np.pi * step / views + rng.normal(0, 0.1))
                       for step in range(views)][:count - sum(map(len, rounds))])
    return [points for points in rounds if points]


def walk(rng: np.random.Generator, rounds: List[List[np.ndarray]], caster: Caster) -> List[np.ndarray]:
    """Poses (4, 4) of a hand-held camera that walks each of the ``rounds``: as many as there are standing points.

    The way and the gaze are the standing points' running means (a Gaussian of 1.5 of them), so that neighbouring frames
    lie a few decimetres apart, plus a hand's tremor. Where that would lead into furniture the way bends to the standing
    point, which is free.
    """
    poses = []
    for points in rounds:
        eyes, gazes = (np.stack([pose[:3, column] for pose in points]) for column in (3, 2))
        apart = np.abs(np.subtract.outer(np.arange(len(points)), np.arange(len(points))))
        weight = np.exp(-0.5 * (np.minimum(apart, len(points) - apart) / 1.5) ** 2)  # a round ends where it began
        weight /= weight.sum(1, keepdims=True)
        for eye, smooth, gaze in zip(eyes, weight @ eyes, weight @ gazes):
            smooth = smooth + rng.normal(0, 0.01, 3)
            bends = (smooth + bend * (eye - smooth) for bend in (0.0, 0.25, 0.5, 0.75))
            at = next((at for at in bends if _is_free(caster, at)), eye)
            # A mean of directions is shorter than 1 where they differ; only its direction counts.
            poses.append(look_at(at, at + gaze + rng.normal(0, 0.02, 3) * np.linalg.norm(gaze), rng.normal(0, 0.04)))
    return poses


def _pose(rng: np.random.Generator, floor, caster: Caster, gaze: float) -> np.ndarray:
    x0, y0, x1, y1 = floor
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    half = np.array([x1 - x0, y1 - y0]) / 2
    eye = np.zeros(3)
    for attempt in range(20):
        # Stand behind the middle, so that the view crosses the room; nearer to it after every failed attempt.
        back = -np.array([np.cos(gaze), np.sin(gaze)]) * rng.uniform(0.2, 0.75) * half * (1 - attempt / 20)
        eye = np.array([*(middle + back + rng.normal(0, 0.08, 2)), rng.uniform(*EYE_HEIGHT)])
        if _is_free(caster, eye):
            break
    reach = rng.uniform(1.2, 2.0)
    target = eye + np.array([np.cos(gaze) * reach, np.sin(gaze) * reach, -rng.uniform(0.3, 1.1)])
    return look_at(eye, target, rng.normal(0, 0.04))


def _is_free(caster: Caster, eye: np.ndarray) -> bool:
    """Whether nothing stands within arm's reach of ``eye`` (3,), at its height."""
    around = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    feelers = np.stack([np.cos(around), np.sin(around), np.zeros(8)], 1)
    return bool(caster.cast(np.tile(eye, (8, 1)), feelers).distance.min() > CLEARANCE)


def shoot(rng: np.random.Generator, caster: Caster, pose: np.ndarray, camera: Intrinsics) -> Frame:
    """Render one frame with the sensor's noise (1 mm + 0.5 mm/m^2), and its holes at grazing angles and edges."""
    rays = camera.rays()
    length = np.linalg.norm(rays, axis=1)
    directions = (rays / length[:, None]) @ pose[:3, :3].T
    hits = caster.cast(np.broadcast_to(pose[:3, 3], directions.shape), directions)
    seen = hits.part >= 0
    xyz = pose[:3, 3] + directions * np.where(seen, hits.distance, 0)[:, None]
    rgb = caster.colour(hits.part, xyz, hits.normal)
    rgb = np.clip(rgb * rng.normal(1.0, 0.03) + rng.normal(0, 0.012, rgb.shape), 0, 1)
    depth = np.where(seen, hits.distance / length, 0)
    noisy = depth + rng.normal(size=depth.shape) * (0.001 + 0.0005 * depth ** 2)
    grazing = np.abs((hits.normal * directions).sum(1)) < 0.08
    lost = ~seen | grazing | (rng.random(depth.shape) < 0.004) | (depth > 8.0)
    image = noisy.reshape(camera.height, camera.width)
    lost = lost.reshape(image.shape) | _edges(depth.reshape(image.shape)) & (rng.random(image.shape) < 0.6)
    millimetres = np.where(lost, 0, np.round(image * 1000)).astype(np.uint16)
    return Frame((rgb.reshape(*image.shape, 3) * 255 + 0.5).astype(np.uint8), millimetres, pose)


def _edges(depth: np.ndarray) -> np.ndarray:
    """(H, W) whether depth jumps by over 10 cm to the right or below."""
    edge = np.zeros(depth.shape, bool)
    edge[:, :-1] |= np.abs(np.diff(depth, axis=1)) > 0.1
    edge[:-1] |= np.abs(np.diff(depth, axis=0)) > 0.1
    return edge
