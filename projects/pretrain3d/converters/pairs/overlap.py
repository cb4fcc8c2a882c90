"""Which frames of a scan see the same surface, and how much of it."""
from typing import List, NamedTuple, Sequence

import numpy as np

from .backproject import Frustum
from .neighbours import RadiusIndex


class Overlap(NamedTuple):
    """Two frames, ``first`` < ``second``, with the share of the first's points that have a point of the second within
    the radius (``forward``), and the other way round (``backward``)."""
    first: int
    second: int
    forward: float
    backward: float

    @property
    def ratio(self) -> float:
        """Overlap of the pair: the larger share."""
        return max(self.forward, self.backward)


def may_touch(frusta: Sequence[Frustum], clouds: Sequence[np.ndarray], margin: float) -> np.ndarray:
    """(F, F) False only where no point of one frame can lie within ``margin`` metres of one of the other.

    Two convex bodies are apart by over ``margin`` if some direction separates them so; tried are the face normals of
    both frusta, and the world's axes on the clouds' own bounding boxes.

    Args:
        frusta: of every frame, holding its cloud. clouds: (n_i, 3) of every frame, none empty.
    """
    corners = np.stack([one.corners for one in frusta])  # (F, 8, 3)
    low, high = (np.stack([edge(cloud, axis=0) for cloud in clouds]) for edge in (np.min, np.max))
    touch = ((low[:, None] <= high[None] + margin) & (low[None] <= high[:, None] + margin)).all(2)
    for i, one in enumerate(frusta):
        along = corners @ one.normals.T  # (F, 8, 5)
        bottom, top = along.min(1), along.max(1)
        apart = ((bottom > top[i] + margin) | (top < bottom[i] - margin)).any(1)
        touch[i] &= ~apart
        touch[:, i] &= ~apart
    return touch


def find_overlaps(clouds: Sequence[np.ndarray], frusta: Sequence[Frustum], radius: float,
                  min_overlap: float) -> List[Overlap]:
    """All pairs of frames whose overlap is at least ``min_overlap``, in order.

    Frames that cannot touch are left out first, then those whose overlap is too small even if every point that lies
    in a grid cell next to one of the other frame counts; the rest is counted exactly.

    Args:
        clouds: (n_i, 3) float64 world positions of every frame, metres, thinned; none empty.
        frusta: of every frame, holding its cloud.
        radius: metres; a point overlaps that has one of the other frame within it.
        min_overlap: least larger share, above 0.
    """
    # The frusta hold the pixels; what was stored of them may lie a rounding (float16: some millimetres) outside.
    touch = np.triu(may_touch(frusta, clouds, radius + 0.01), 1)
    sizes = np.array([len(cloud) for cloud in clouds])
    bound = np.zeros(touch.shape)  # [query, key]
    indices = _Indices(clouds, radius)
    for key in range(len(clouds)):
        for query in np.flatnonzero(touch[key] | touch[:, key]):
            bound[query, key] = indices[key].bound(clouds[query]) / sizes[query]
    likely = touch & (np.maximum(bound, bound.T) >= min_overlap)
    share = np.zeros(touch.shape)
    for key in range(len(clouds)):
        for query in np.flatnonzero(likely[key] | likely[:, key]):
            share[query, key] = indices[key].count(clouds[query]) / sizes[query]
    kept = np.argwhere(likely & (np.maximum(share, share.T) >= min_overlap))
    return [Overlap(int(i), int(j), float(share[i, j]), float(share[j, i])) for i, j in kept]


class _Indices:
    """Index of one cloud at a time: all of them would need gigabytes, and a new one costs a millisecond."""

    def __init__(self, clouds: Sequence[np.ndarray], radius: float) -> None:
        self.clouds, self.radius, self.at, self.index = clouds, radius, -1, None

    def __getitem__(self, place: int) -> RadiusIndex:
        if place != self.at:
            self.at, self.index = place, RadiusIndex(self.clouds[place], self.radius)
        return self.index
