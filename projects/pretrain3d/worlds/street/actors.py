"""Things with boxes: how they move."""
from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from .road import Road
from .solids import Mesh


@dataclass(frozen=True)
class Flow:
    """A way along the road that all vehicles of a lane share, so that they never meet: metres travelled by a time.

    Attributes:
        speed: metres per second on average. swing, period, phase: slow changes of speed (m/s, s, radians).
    """
    speed: float
    swing: float = 0.0
    period: float = 20.0
    phase: float = 0.0

    def travelled(self, time: float) -> float:
        """Metres since time 0; negative before."""
        wave = 2 * np.pi / self.period
        return self.speed * time - self.swing / wave * (np.cos(wave * time + self.phase) - np.cos(self.phase))


@dataclass(frozen=True)
class Path:
    """Along a road.

    Attributes:
        s, d: road coordinates at time 0. sense: +1 looks along growing s, -1 against. flow: None for what stands.
        turn: radians by which the thing is turned against its direction.
    """
    road: Road
    s: float
    d: float
    sense: int = 1
    flow: Optional[Flow] = None
    turn: float = 0.0

    def along(self, time: float) -> float:
        """Metres s at a time in seconds."""
        return self.s + (self.sense * self.flow.travelled(time) if self.flow else 0.0)

    def pose(self, time: float) -> Tuple[np.ndarray, float]:
        """((2,) position in the global frame, yaw in radians) at a time."""
        s = self.along(time)
        yaw = self.road.heading(s) + (0.0 if self.sense > 0 else np.pi) + self.turn
        return self.road.place(s, self.d), float(yaw)


@dataclass
class Instance:
    """A thing with a box.

    Attributes:
        token_seed: a number that no other instance of the street has.
        category: of nuScenes, e.g. 'vehicle.car'.
        size: (3,) width, length, height, metres, as nuScenes writes it.
        path: how it moves. height: z of the ground below it, metres.
        attributes: nuScenes attribute while it moves, and while it stands; '' for none.
        mesh: triangles in the box's frame (x forward, y left, z up, origin at the centre), which fill the box.
    """
    token_seed: int
    category: str
    size: np.ndarray
    path: Path
    height: float = 0.0
    attributes: Tuple[str, str] = ('', '')
    mesh: Optional[Mesh] = None

    def pose(self, time: float) -> Tuple[np.ndarray, float]:
        """((3,) box centre in the global frame, yaw in radians) at a time in seconds."""
        xy, yaw = self.path.pose(time)
        return np.array([*xy, self.height + self.size[2] / 2]), yaw

    def velocity(self, time: float) -> np.ndarray:
        """(2,) metres per second in the global frame."""
        step = 1e-3
        return (self.path.pose(time + step)[0] - self.path.pose(time - step)[0]) / (2 * step)

    def attribute(self, time: float) -> str:
        """The attribute's name in nuScenes, '' for a category without."""
        return self.attributes[0 if np.linalg.norm(self.velocity(time)) > 0.2 else 1]

    @property
    def moves(self) -> bool:
        """Whether it ever moves."""
        return self.path.flow is not None

    def footprint(self, time: float = 0.0, margin: float = 0.0) -> np.ndarray:
        """(4, 2) corners of the box seen from above, ``margin`` metres wider on every side."""
        centre, yaw = self.pose(time)
        half = self.size[[1, 0]] / 2 + margin
        corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half
        return corners @ np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]]) + centre[:2]


def overlap(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two convex quadrilaterals (4, 2) share area (separating axes)."""
    for corners in (first, second):
        edges = np.roll(corners, -1, 0) - corners
        for normal in np.stack([edges[:, 1], -edges[:, 0]], 1)[:2]:
            a, b = first @ normal, second @ normal
            if a.max() <= b.min() or b.max() <= a.min():
                return False
    return True
