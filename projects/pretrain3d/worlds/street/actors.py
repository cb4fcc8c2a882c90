"""Things with boxes: how they move."""
from dataclasses import dataclass, field
from typing import Callable, Optional, Tuple

import numpy as np

from .road import Road
from .solids import Mesh


@dataclass(frozen=True)
class Flow:
    """A way along the road that all vehicles of a lane share, so that they never meet: metres travelled by a time.

    Attributes:
        speed: metres per second on average. swing, period, phase: slow changes of speed.
    """
    speed: float
    swing: float = 0.0
    period: float = 20.0
    phase: float = 0.0

    def travelled(self, time: float) -> float:
        """Metres since time 0; negative before."""
        wave = 2 * np.pi / self.period
        return self.speed * time + self.swing / wave * (np.sin(wave * time + self.phase) - np.sin(self.phase))


@dataclass(frozen=True)
class Path:
    """Along a road: ``s`` at time 0, the offset ``d``, the sense (+1 with growing s) and the flow (None: stands)."""
    road: Road
    s: float
    d: float
    sense: int = 1
    flow: Optional[Flow] = None
    turn: float = 0.0  # radians by which the thing is turned against the road

    def at(self, time: float) -> Tuple[float, float]:
        """(s, d) at a time."""
        return self.s + (self.sense * self.flow.travelled(time) if self.flow else 0.0), self.d

    def pose(self, time: float) -> Tuple[np.ndarray, float]:
        """((2,) position, yaw) at a time."""
        s, d = self.at(time)
        yaw = self.road.heading(s) + (0.0 if self.sense > 0 else np.pi) + self.turn
        return self.road.place(s, d), float(yaw)


@dataclass
class Instance:
    """A thing with a box.

    Attributes:
        token_seed: a number that no other instance of the street has.
        category: of nuScenes, e.g. 'vehicle.car'.
        size: (3,) width, length, height, metres, as nuScenes writes it.
        path: how it moves. height: of the ground below it.
        label_attribute: function of whether it moves -> nuScenes attribute, '' for none.
        mesh: triangles in the box's frame (x forward, y left, z up, origin at the centre), filling the box.
    """
    token_seed: int
    category: str
    size: np.ndarray
    path: Path
    height: float = 0.0
    label_attribute: Callable[[bool], str] = field(default=lambda moves: '')
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
        return self.label_attribute(bool(np.linalg.norm(self.velocity(time)) > 0.2))
