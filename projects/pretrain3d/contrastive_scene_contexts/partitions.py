"""Scene contexts: the cells around an anchor into which the other points of its scene fall.

The cell of key k seen from anchor i depends on ``offset = x_k - x_i`` (metres, z up) and ``distance = |offset|`` alone:

- *shell*: how many of ``shells`` are <= distance; keys with distance < ``exclude_radius`` belong to no cell;
- *azimuth* (mode 'angular'): bin of the angle of (x, y) in [0, 2 pi), ``n_azimuth`` equal bins;
- *elevation* (mode 'angular'): bin of the angle of (z, y) modulo pi, ``n_elevation`` equal bins. It is the angle of a
  line in the y-z plane, as released, not of a direction: 2 x 2 bins are the quadrants of that plane;
- *side* (mode 'fast'): above (z > 0) or below (z < 0); at exactly the anchor's height a key belongs to no cell.

Every bin is half-open: its lower boundary belongs to it. Where (x, y) or (z, y) vanishes, the angle counts as 0. The
id is ``(shell * n_azimuth + azimuth) * n_elevation + elevation``, or ``shell * 2 + below`` in mode 'fast'. No angle is
ever computed: an offset is compared with the boundaries' directions, for two bins by its signs.
"""
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Dict, Optional, Tuple

import torch
from torch import Tensor

MODES = ('none', 'angular', 'fast')
# Kind of an azimuth boundary: in (0, pi), at pi, in (pi, 2 pi).
UPPER, HALF_TURN, LOWER = 0, 1, 2


@dataclass(frozen=True)
class Partition:
    """Division of the space around an anchor into cells.

    Attributes:
        mode: 'none' (shells only), 'angular' or 'fast'.
        n_azimuth, n_elevation: angular bins, for mode 'angular'.
        shells: radii in metres, increasing, that separate one shell from the next; () for a single shell.
        exclude_radius: metres; keys nearer than this belong to no cell.
    """
    mode: str = 'angular'
    n_azimuth: int = 1
    n_elevation: int = 1
    shells: Tuple[float, ...] = ()
    exclude_radius: float = 0.

    def __post_init__(self) -> None:
        object.__setattr__(self, 'shells', tuple(float(radius) for radius in self.shells))
        if self.mode not in MODES:
            raise ValueError(f'mode of a partition must be one of {MODES}, got {self.mode!r}')
        if self.n_azimuth < 1 or self.n_elevation < 1:
            raise ValueError(f'n_azimuth and n_elevation must be at least 1, got {self.n_azimuth}, {self.n_elevation}')
        if self.mode != 'angular' and (self.n_azimuth, self.n_elevation) != (1, 1):
            raise ValueError(f"n_azimuth and n_elevation belong to mode 'angular', not to {self.mode!r}")
        radii = (self.exclude_radius, *self.shells)
        if not 0 <= radii[0] < math.inf or any(not a < b < math.inf for a, b in zip(radii, radii[1:])):
            raise ValueError('exclude_radius must be >= 0 and shells must increase beyond it, all in metres; got '
                             f'exclude_radius={self.exclude_radius}, shells={self.shells}')
        if self.num_cells > 255:
            raise ValueError(f'{self.num_cells} cells; at most 255 are supported')

    @property
    def num_angles(self) -> int:
        """Cells of one shell."""
        return 2 if self.mode == 'fast' else self.n_azimuth * self.n_elevation

    @property
    def num_cells(self) -> int:
        """Cells in all."""
        return self.num_angles * (len(self.shells) + 1)

    @cached_property
    def azimuth_boundaries(self) -> Tuple[Tuple[int, float, float], ...]:
        """(kind, cos, sin) of every boundary but 0; those beyond pi are turned back by pi."""
        found = []
        for j in range(1, self.n_azimuth):
            kind = HALF_TURN if 2 * j == self.n_azimuth else UPPER if 2 * j < self.n_azimuth else LOWER
            turns = 2 * j / self.n_azimuth - (kind == LOWER)
            found.append((kind, *_direction(turns)))
        return tuple(found)

    @cached_property
    def elevation_boundaries(self) -> Tuple[Tuple[float, float], ...]:
        """(cos, sin) of every boundary in (0, pi)."""
        return tuple(_direction(j / self.n_elevation) for j in range(1, self.n_elevation))

    def cells(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Ids of offsets.

        Args:
            x, y, z: offsets key - anchor in metres, of one shape.

        Returns:
            Ids in [0, num_cells), -1 for keys of no cell; int16, the shape of ``x``.
        """
        distance2 = x * x + y * y + z * z
        ids = torch.zeros_like(distance2, dtype=torch.int16)
        for radius in self.shells:
            ids += distance2 >= radius * radius
        ids *= self.num_angles
        if self.mode == 'fast':
            ids += z < 0
        elif self.mode == 'angular':
            ids += self.n_elevation * self._azimuth(x, y) + self._elevation(z, y)
        outside = distance2 < self.exclude_radius * self.exclude_radius
        if self.mode == 'fast':
            outside |= z == 0
        return ids.masked_fill_(outside, -1)

    def _azimuth(self, x: Tensor, y: Tensor) -> Tensor:
        """Bin of the angle of (x, y) in [0, 2 pi)."""
        lower = (y < 0) | ((y == 0) & (x < 0))
        count = torch.zeros_like(x, dtype=torch.int16)
        for kind, cos, sin in self.azimuth_boundaries:
            passed = _passed(torch.where(lower, -x, x), y.abs(), cos, sin) if kind != HALF_TURN else lower
            count += passed | lower if kind == UPPER else passed & lower
        return count

    def _elevation(self, z: Tensor, y: Tensor) -> Tensor:
        """Bin of the angle of (z, y), taken modulo pi."""
        count = torch.zeros_like(z, dtype=torch.int16)
        for cos, sin in self.elevation_boundaries:
            count += _passed(torch.where(y < 0, -z, z), y.abs(), cos, sin)
        return count


def _direction(half_turns: float) -> Tuple[float, float]:
    """Cosine and sine of an angle given in units of pi; exact for a quarter turn, so that two bins are sign tests."""
    return (0., 1.) if half_turns == 0.5 else (math.cos(math.pi * half_turns), math.sin(math.pi * half_turns))


def _passed(along: Tensor, across: Tensor, cos: float, sin: float) -> Tensor:
    """Whether the angle of (along, across), ``across >= 0``, has reached the boundary with that cosine and sine."""
    return (across > 0) & (across * cos >= along * sin)


PRESETS: Dict[str, Partition] = {
    'p1': Partition('none'),
    'p2': Partition('angular', 2, 1, (), 0.05),
    'p4': Partition('angular', 2, 2, (), 0.05),
    'p8': Partition('angular', 2, 2, (0.5, ), 0.05),
    'fast4': Partition('fast', 1, 1, (0.5, ), 0.05),
}


def get_partition(preset: Optional[str] = None, **fields) -> Partition:
    """A preset, or a partition by its fields, or a preset with some fields changed.

    Raises:
        ValueError: unknown preset, or neither given.
    """
    if preset is None:
        if 'mode' not in fields:
            raise ValueError(f'a partition needs a preset ({sorted(PRESETS)}) or a mode {MODES}')
        return Partition(**fields)
    if preset not in PRESETS:
        raise ValueError(f'unknown preset {preset!r} of scene contexts; there are {sorted(PRESETS)}')
    return replace(PRESETS[preset], **fields)
