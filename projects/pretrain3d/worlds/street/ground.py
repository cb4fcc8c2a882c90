"""The ground: carriageway, median, kerbs, sidewalks, green, forecourts and side streets, with their markings."""
from dataclasses import replace
from typing import List, Tuple

import numpy as np

from .road import COURT, CURB_LANE, DEEP, GREEN, KERB, LANE, MEDIAN, STEP, WALK, Road, Section
from .solids import Mesh, join, quads
from .surfaces import RAW, Palette, Surface

_PAINT = 0.006  # metres by which markings lie above the asphalt
_STRIDE = 3.0  # metres of s per quad
FAR = 60.0  # where the ground beside the road ends


class Ground:
    """Builds the meshes of the ground.

    Args:
        reach: metres by which the carriageway goes on beyond the road's ends.
    """

    def __init__(self, rng: np.random.Generator, road: Road, sections: List[Section], palette: Palette,
                 reach: float) -> None:
        self.road, self.sections, self.reach = road, sections, reach
        self.start, self.end = -60.0, road.length + 60.0

        def row(name: str, base, accent, kind: str, scale: float, reflect: float, detail: str) -> int:
            return palette.add(Surface(base, accent, kind, scale, reflect, 0.0, RAW[name], detail,
                                       int(rng.integers(1 << 30))))

        tone = rng.uniform(0.36, 0.46)
        asphalt = (tone, tone, tone * 1.02), (tone * 0.64, tone * 0.64, tone * 0.66)
        brick = rng.random() < 0.4
        warm = (0.60, 0.50, 0.44) if brick else (0.66, 0.65, 0.62)
        tile = (0.48, 0.38, 0.33) if brick else (0.50, 0.49, 0.47)
        self.asphalt = row('flat.driveable_surface', *asphalt, 'asphalt', 1.0, 0.09, 'road')
        self.bay = row('flat.driveable_surface', *asphalt, 'asphalt', 1.0, 0.085, 'parking')
        self.paint = row('flat.driveable_surface', (0.85, 0.85, 0.82), (0.5, 0.5, 0.5), 'worn', 0.3, 0.5,
                         'lane marking')
        self.yellow = row('flat.driveable_surface', (0.88, 0.70, 0.22), (0.5, 0.45, 0.3), 'worn', 0.3, 0.45,
                          'lane marking')
        # Crossings, stop lines, arrows: the lanes' paint, which Waymo does not count to the lanes' markings.
        self.mark = palette.add(replace(palette.rows[self.paint], detail='road marking'))
        self.walk = row('flat.sidewalk', warm, tile, 'tiles', float(rng.choice([0.6, 0.9, 1.2])), 0.2, 'sidewalk')
        self.kerb = row('flat.sidewalk', (0.70, 0.69, 0.66), (0.25, 0.25, 0.25) if road.side < 0 else (0.6, 0.6, 0.57),
                        'bands', 1.2, 0.25, 'kerb')
        self.grass = row('flat.terrain', (0.34, 0.44, 0.17), (0.50, 0.50, 0.26), 'grass', 0.5, 0.22, 'terrain')
        self.court = row('flat.other', (0.60, 0.57, 0.54), (0.52, 0.49, 0.46), 'tiles', 1.6, 0.18, 'other ground')
        self.island = row('flat.other', (0.62, 0.60, 0.56), (0.45, 0.44, 0.42), 'tiles', 0.5, 0.2, 'other ground')

    def band(self, start: float, end: float, edges: Tuple[float, float], heights: Tuple[float, float],
             surface: int) -> Mesh:
        """A strip of s in [start, end] and d between two ``edges``, at the ``heights`` of either edge."""
        s = np.linspace(start, end, max(int(np.ceil((end - start) / _STRIDE)), 1) + 1)
        corners, uv = [], []
        order = ((s[:-1], 0), (s[1:], 0), (s[1:], 1), (s[:-1], 1))
        if edges[0] > edges[1]:
            order = order[::-1]
        for along, edge in order:
            place = self.road.place(along, edges[edge])
            corners.append(np.concatenate([place, np.full((len(along), 1), heights[edge])], 1))
            across = edges[edge] if edges[0] != edges[1] else heights[edge]
            uv.append(np.stack([along, np.full_like(along, across)], 1))
        return quads(np.stack(corners, 1), surface, np.stack(uv, 1))

    def build(self) -> Mesh:
        """All of the ground."""
        meshes = [self._beyond(), self._median()]
        for flank in (-1, 1):
            meshes.append(self.band(-self.reach, self.road.length + self.reach, (0.0, flank * CURB_LANE), (0, 0),
                                    self.asphalt))
            meshes += self._edge_lines(flank)
            at = self.start
            mine = [each for each in self.sections if each.flank == flank]
            for section in [each for each in mine if each.kind == 'junction']:
                meshes += self._kerbside(at, section.start, flank) + self._junction(section)
                at = section.end
            meshes += self._kerbside(at, self.end, flank)
            for section in mine:
                if section.kind in ('parking', 'big'):
                    meshes += self._bays(section)
        return join(meshes)

    def _beyond(self) -> Mesh:
        """Grass under everything, far beyond what sensors tell apart."""
        centre = self.road.place(self.road.length / 2, 0)
        reach = self.road.length / 2 + 400
        square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * reach
        corners = np.concatenate([square + centre, np.full((4, 1), -0.05)], 1)
        return quads(corners[None], self.grass, square[None])

    def _median(self) -> Mesh:
        """A kerbed island between the directions."""
        parts = [self.band(self.start, self.end, (-MEDIAN, MEDIAN), (STEP, STEP), self.island)]
        for edge in (-MEDIAN, MEDIAN):
            parts.append(self.band(self.start, self.end, (edge, edge), (0, STEP), self.island))
        return join(parts)

    def _kerbside(self, start: float, end: float, flank: int) -> List[Mesh]:
        """Parking lane, kerb, sidewalk, green and forecourt of a stretch, with walls where it ends."""
        if end <= start:
            return []
        strips = ((CURB_LANE, KERB, 0.0, self.bay), (KERB, KERB + 0.18, STEP, self.kerb),
                  (KERB + 0.18, WALK, STEP, self.walk), (WALK, GREEN, STEP - 0.03, self.grass),
                  (GREEN, COURT, STEP, self.court), (COURT, FAR, STEP, self.court))
        parts = [self.band(start, end, (flank * low, flank * high), (z, z), row) for low, high, z, row in strips]
        parts.append(self.band(start, end, (flank * KERB, flank * KERB), (0, STEP), self.kerb))
        for low, high, z, row in strips[1:]:
            for s in (start, end):
                edge = self.road.place(np.array([s, s]), np.array([flank * low, flank * high]))
                wall = np.stack([[*edge[0], -0.05], [*edge[1], -0.05], [*edge[1], z], [*edge[0], z]])
                parts.append(quads(wall[None], self.kerb if row != self.grass else row))
        return parts

    def _junction(self, section: Section) -> List[Mesh]:
        """A side street with a zebra crossing and a stop line."""
        flank, (start, end) = section.flank, (section.start, section.end)
        parts = [self.band(start, end, (flank * CURB_LANE, flank * DEEP), (0, 0), self.asphalt)]
        for bar in np.arange(start + 0.6, end - 0.6, 1.1):
            parts.append(self.band(bar, bar + 0.55, (flank * (KERB + 0.6), flank * (WALK - 0.3)), (_PAINT, _PAINT),
                                   self.mark))
        middle = section.middle
        parts.append(self.band(middle - 0.08, middle + 0.08, (flank * (WALK + 1.4), flank * DEEP), (_PAINT, _PAINT),
                               self.yellow))
        stop = (middle, end - 0.4) if self.road.sense(flank) > 0 else (start + 0.4, middle)
        parts.append(self.band(*stop, (flank * (WALK + 0.6), flank * (WALK + 1.0)), (_PAINT, _PAINT), self.mark))
        return parts

    def _edge_lines(self, flank: int) -> List[Mesh]:
        """Lines beside the median, dashes between the lanes, arrows now and then, and the parking lane's line."""
        def line(d: float, width: float, start: float, end: float, row: int) -> Mesh:
            edges = (flank * (d - width / 2), flank * (d + width / 2))
            return self.band(start, end, edges, (_PAINT, _PAINT), row)

        parts = [line(MEDIAN + 0.22, 0.12, self.start, self.end, self.yellow)]
        for s in np.arange(self.start, self.end - 3, 9.0):
            parts.append(line(MEDIAN + LANE, 0.14, s, s + 3.0, self.paint))
        at = self.start
        for section in [each for each in self.sections if each.flank == flank and each.kind == 'junction']:
            parts.append(line(CURB_LANE, 0.12, at, section.start, self.paint))
            at = section.end
            for lane in (0.5, 1.5):
                ahead = self.road.sense(flank)
                tip = section.start - 9.0 if ahead > 0 else section.end + 9.0
                parts.append(self._arrow(tip, flank * (MEDIAN + LANE * lane), ahead))
        parts.append(line(CURB_LANE, 0.12, at, self.end, self.paint))
        return parts

    def _arrow(self, s: float, d: float, ahead: int) -> Mesh:
        """A straight arrow whose tip lies at s."""
        shape = np.array([[[-5, -0.08], [-1.6, -0.08], [-1.6, 0.08], [-5, 0.08]],
                          [[-1.6, -0.45], [0, 0], [0, 0], [-1.6, 0.45]]])
        place = self.road.place(s + ahead * shape[..., 0], d + shape[..., 1])
        corners = np.concatenate([place, np.full((2, 4, 1), _PAINT)], -1)
        return quads(corners, self.mark, shape)

    def _bays(self, section: Section) -> List[Mesh]:
        """Lines across the parking lane, which bound no lane either."""
        marks = np.arange(section.start, section.end, 6.5)
        edges = (section.flank * CURB_LANE, section.flank * (CURB_LANE + 2.4))
        return [self.band(s, s + 0.1, edges, (_PAINT, _PAINT), self.mark) for s in marks]

    def drivable(self) -> List[np.ndarray]:
        """Polygons (P, 2) in the global frame where one can drive: the carriageway's halves and the side streets."""
        s = np.arange(self.start, self.end + 1, 2.0)
        areas = [np.concatenate([self.road.place(s, flank * MEDIAN), self.road.place(s[::-1], flank * KERB)])
                 for flank in (-1, 1)]
        for section in self.sections:
            if section.kind == 'junction':
                corner = [(section.start, KERB - 0.5), (section.end, KERB - 0.5), (section.end, DEEP),
                          (section.start, DEEP)]
                areas.append(np.stack([self.road.place(at, section.flank * d) for at, d in corner]))
        return areas
