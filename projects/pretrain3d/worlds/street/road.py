"""The road: a gently turning centre line, and the plane coordinates along it.

``s`` is metres along the centre line, ``d`` metres to its left. Traffic keeps to the right, or to the left where
``side`` is -1. The ground plane is z = 0 on the carriageway.
"""
import numpy as np

LANE = 3.5  # metres wide
MEDIAN = 0.8  # half the median's width
KERB = MEDIAN + 2 * LANE + 3.0  # where the carriageway with its parking lane ends
WALK = KERB + 3.4  # where the sidewalk ends
GREEN = WALK + 2.6  # where the strip of terrain ends
STEP = 0.15  # height of the kerb


class Road:
    """A centre line with curvature that swings slowly from left to right.

    Args:
        rng: draws the turns.
        length: metres.
        start: (2,) global position of s = 0. side: +1 for traffic on the right, -1 on the left.
    """

    def __init__(self, rng: np.random.Generator, length: float, start=(0.0, 0.0), side: int = 1) -> None:
        self.length, self.side = length, side
        self._s = np.arange(0.0, length + 1.0, 1.0)
        wave, phase = rng.uniform(220, 320), rng.uniform(0, 2 * np.pi)
        swing = rng.uniform(0.12, 0.3)
        first = rng.uniform(-np.pi, np.pi)
        self._heading = first + swing * (np.sin(2 * np.pi * self._s / wave + phase) - np.sin(phase))
        step = np.stack([np.cos(self._heading), np.sin(self._heading)], 1)
        middle = (step[1:] + step[:-1]) / 2
        self._xy = np.concatenate([np.zeros((1, 2)), np.cumsum(middle, 0)]) + np.asarray(start)

    def shift(self, offset: np.ndarray) -> None:
        """Move the whole line by ``offset`` (2,)."""
        self._xy = self._xy + offset

    def heading(self, s) -> np.ndarray:
        """Radians of the direction of growing ``s``, about +z."""
        return np.interp(s, self._s, self._heading)

    def place(self, s, d) -> np.ndarray:
        """(..., 2) global position of road coordinates."""
        s, d = np.broadcast_arrays(np.asarray(s, np.float64), np.asarray(d, np.float64))
        heading = self.heading(s)
        over = s - np.clip(s, 0, self.length)  # straight on beyond the ends
        x = np.interp(s, self._s, self._xy[:, 0]) - d * np.sin(heading) + over * np.cos(heading)
        y = np.interp(s, self._s, self._xy[:, 1]) + d * np.cos(heading) + over * np.sin(heading)
        return np.stack([x, y], -1)

    def lane(self, number: int) -> float:
        """``d`` of the middle of a lane: 1, 2 from the median outwards in the direction of growing s, -1, -2 against."""
        return -self.side * np.sign(number) * (MEDIAN + LANE * (abs(number) - 0.5))
