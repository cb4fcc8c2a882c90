"""The road: a gently turning centre line, and the plane coordinates along it.

``s`` is metres along the centre line, ``d`` metres to its left. Traffic keeps to the right, or to the left where
``side`` is -1. The ground plane is z = 0 on the carriageway. From the middle outwards a half of the road is: median,
two lanes, a parking lane, kerb and sidewalk, a strip of green, a forecourt, buildings.
"""
from dataclasses import dataclass
from typing import List

import numpy as np

LANE = 3.5  # metres wide
MEDIAN = 0.8  # half the median's width
CURB_LANE = MEDIAN + 2 * LANE  # where the parking lane begins
KERB = CURB_LANE + 3.0  # where the carriageway ends and the sidewalk begins
WALK = KERB + 3.4  # where the sidewalk ends
GREEN = WALK + 2.6  # where the strip of terrain ends
COURT = GREEN + 2.0  # where buildings may begin
DEEP = 110.0  # how far side streets go
STEP = 0.15  # height of the kerb


class Road:
    """A centre line with curvature that swings slowly from left to right.

    Args:
        rng: draws the turns.
        length: metres.
        side: +1 for traffic on the right, -1 on the left.
    """

    def __init__(self, rng: np.random.Generator, length: float, side: int = 1) -> None:
        self.length, self.side = length, side
        self._s = np.arange(0.0, length + 1.0, 1.0)
        wave, phase = rng.uniform(240, 330), rng.uniform(0, 2 * np.pi)
        swing = rng.uniform(0.12, 0.3)
        first = rng.uniform(-np.pi, np.pi)
        self._heading = first + swing * (np.sin(2 * np.pi * self._s / wave + phase) - np.sin(phase))
        step = np.stack([np.cos(self._heading), np.sin(self._heading)], 1)
        self._xy = np.concatenate([np.zeros((1, 2)), np.cumsum((step[1:] + step[:-1]) / 2, 0)])

    def shift(self, offset: np.ndarray) -> None:
        """Move the whole line by ``offset`` (2,)."""
        self._xy = self._xy + offset

    def heading(self, s) -> np.ndarray:
        """Radians of the direction of growing ``s``, about +z."""
        return np.interp(s, self._s, self._heading)

    def place(self, s, d) -> np.ndarray:
        """(..., 2) global position of road coordinates; straight on beyond the road's ends."""
        s, d = np.broadcast_arrays(np.asarray(s, np.float64), np.asarray(d, np.float64))
        heading = self.heading(s)
        over = s - np.clip(s, 0, self._s[-1])
        x = np.interp(s, self._s, self._xy[:, 0]) - d * np.sin(heading) + over * np.cos(heading)
        y = np.interp(s, self._s, self._xy[:, 1]) + d * np.cos(heading) + over * np.sin(heading)
        return np.stack([x, y], -1)

    @staticmethod
    def height(d: float) -> float:
        """Metres z of the ground beside the side streets."""
        across = abs(d)
        return 0.0 if across < KERB else STEP - 0.03 if WALK < across < GREEN else STEP

    def lane(self, number: int) -> float:
        """``d`` of the middle of a lane: 1, 2 outwards in the direction of growing s, -1, -2 against it."""
        return -self.side * np.sign(number) * (MEDIAN + LANE * (abs(number) - 0.5))

    def sense(self, flank: int) -> int:
        """The direction (+1: growing s) of the traffic on the half of the road where d has the sign ``flank``."""
        return -flank * self.side


@dataclass(frozen=True)
class Section:
    """A stretch along one kerb.

    Attributes:
        kind: 'works' (a site in the parking lane), 'open' (no parking: cycles on the sidewalk, a bus stop), 'big'
            (parked lorries and trailers), 'parking' (parked cars), 'junction' (a side street).
        start, end: metres s. flank: sign of d.
    """
    kind: str
    start: float
    end: float
    flank: int

    @property
    def middle(self) -> float:
        """Metres s."""
        return (self.start + self.end) / 2


LENGTHS = dict(works=20.0, open=17.0, big=30.0, parking=26.0, junction=12.0)


def plan(rng: np.random.Generator, road: Road, anchor: float) -> List[Section]:
    """Sections along both kerbs.

    Every kerb repeats a period that holds each kind once. Works on the kerb of the ego's lane lie at ``anchor``
    (metres s), those of the other kerb half a period further, so that wherever the ego is, works and each other kind
    are near.
    """
    sections = []
    for flank in (-road.side, road.side):
        near = flank == -road.side
        # Cycles and works stay neighbours, so that both are near the anchor.
        order = ['works', 'open', *rng.permutation(['junction', 'parking', 'big'])]
        if rng.random() < 0.5:
            order = [order[0], *order[:0:-1]]
        period = sum(LENGTHS.values())
        start = anchor - LENGTHS['works'] / 2 + (0 if near else period / 2)
        start -= np.ceil(start / period) * period
        at = start
        while at < road.length:
            for kind in order:
                sections.append(Section(kind, at, at + LENGTHS[kind], flank))
                at += LENGTHS[kind]
    return [section for section in sections if section.end > 0 and section.start < road.length]
