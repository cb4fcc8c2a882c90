"""What stands on the sidewalks: lamps, signs, traffic lights, bollards, hydrants, benches, shelters."""
from typing import List

import numpy as np

from ..textures import hsv
from .road import KERB, STEP, WALK, Road, Section
from .solids import Mesh, blob, box, join, tube
from .surfaces import Paints, Palette


class Smith:
    """Makes street furniture: local frames stand at the origin and look along +x (-x for what faces traffic)."""

    def __init__(self, rng: np.random.Generator, palette: Palette) -> None:
        self.rng, self.palette = rng, palette
        self.pole = Paints(palette, 'static.manmade', 'pole')
        self.sign = Paints(palette, 'static.manmade', 'traffic sign')
        self.light = Paints(palette, 'static.manmade', 'traffic light')
        self.other = Paints(palette, 'static.manmade', 'other structure')
        self.steel = self.pole((0.48, 0.5, 0.51), (0.35, 0.36, 0.37), 'worn', 0.5, 0.35)

    def lamp(self) -> Mesh:
        """A lamp post with an arm over the road (+y)."""
        head = self.pole((0.85, 0.85, 0.8), kind='lamp', reflect=0.4)
        return join([tube((0, 0, 0), (0, 0, 7.2), 0.1, self.steel, 8, 0.06),
                     tube((0, 0, 7.1), (0, 2.0, 7.5), 0.05, self.steel, 6),
                     box((-0.12, 1.7, 7.42), (0.12, 2.5, 7.56), head)])

    def traffic_sign(self) -> Mesh:
        """A round, square or triangular sign on a post."""
        kind = int(self.rng.integers(4))
        colour = ((0.80, 0.08, 0.08), (0.08, 0.22, 0.62), (0.92, 0.75, 0.10), (0.08, 0.42, 0.22))[kind]
        plate = self.sign(colour, (0.95, 0.95, 0.95), 'sign', 0.64, 0.95, seed=kind)
        post = tube((0, 0, 0), (0, 0, 2.75), 0.04, self.steel, 6)
        if kind == 0:
            board = tube((-0.06, 0, 2.4), (-0.09, 0, 2.4), 0.34, plate, 16)
        else:
            half = (0.3, 0.34, 0.55)[kind - 1]
            board = box((-0.09, -half, 2.1), (-0.06, half, 2.7), plate)
        return join([post, board])

    def traffic_light(self) -> Mesh:
        """A signal on an arm over the road (+y)."""
        dark = self.light((0.08, 0.09, 0.08), reflect=0.15)
        lamps = [self.light(colour, kind='lamp', reflect=0.4) for colour in
                 ((0.9, 0.08, 0.06), (0.22, 0.17, 0.05), (0.04, 0.22, 0.12))]
        parts = [tube((0, 0, 0), (0, 0, 5.8), 0.11, self.steel, 8, 0.08),
                 tube((0, 0, 5.7), (0, 4.2, 5.8), 0.06, self.steel, 6)]
        for y, z in ((3.9, 5.3), (0.0, 3.0)):
            parts.append(box((-0.3, y - 0.17, z - 0.5), (-0.1, y + 0.17, z + 0.5), dark))
            parts += [tube((-0.3, y, z + 0.3 - 0.3 * row), (-0.33, y, z + 0.3 - 0.3 * row), 0.12, lamps[row], 10)
                      for row in range(3)]
        return join(parts)

    def bollard(self) -> Mesh:
        """A post against parking."""
        skin = self.pole((0.75, 0.72, 0.2) if self.rng.random() < 0.3 else (0.3, 0.3, 0.32), reflect=0.3)
        return join([tube((0, 0, 0), (0, 0, 0.85), 0.08, skin, 8), blob((0, 0, 0.85), (0.16, 0.16, 0.12), skin, 8, 4)])

    def hydrant(self) -> Mesh:
        """A fire hydrant."""
        red = self.other((0.75, 0.10, 0.06), reflect=0.35)
        return join([tube((0, 0, 0), (0, 0, 0.6), 0.12, red, 8), blob((0, 0, 0.62), (0.24, 0.24, 0.22), red, 8, 4),
                     tube((0, -0.2, 0.42), (0, 0.2, 0.42), 0.06, red, 6)])

    def bench(self) -> Mesh:
        """A bench that looks at the road (+y)."""
        wood, steel = self.other((0.45, 0.30, 0.18), (0.3, 0.2, 0.1), 'planks', 0.12, 0.25), self.steel
        return join([box((-0.85, -0.22, 0.42), (0.85, 0.22, 0.48), wood),
                     box((-0.85, -0.26, 0.55), (0.85, -0.2, 0.9), wood),
                     *(box((x, -0.22, 0), (x + 0.06, 0.22, 0.44), steel) for x in (-0.7, 0.64))])

    def shelter(self) -> Mesh:
        """A bus stop's shelter, open to the road (+y)."""
        glass = self.other((0.45, 0.55, 0.58), kind='glass', reflect=0.12, shine=0.4)
        poster = self.other(hsv(self.rng.random(), 0.6, 0.7), hsv(self.rng.random(), 0.5, 0.9), 'livery', 0.6, 0.3,
                            seed=int(self.rng.integers(99)))
        roof = self.other((0.3, 0.33, 0.36), reflect=0.25)
        parts = [box((-2.0, -0.65, 2.35), (2.0, 0.65, 2.5), roof), box((-1.95, -0.62, 0.35), (1.95, -0.58, 2.2), glass),
                 box((1.85, -0.6, 0.3), (1.95, 0.4, 2.2), poster), box((-1.3, -0.5, 0.42), (1.0, -0.15, 0.5), roof)]
        parts += [tube((x, -0.6, 0), (x, -0.6, 2.4), 0.05, self.steel, 6) for x in (-1.95, 1.95)]
        return join(parts)


def furnish(rng: np.random.Generator, palette: Palette, road: Road, sections: List[Section]) -> List[Mesh]:
    """Street furniture of all sections: everything within 0.6 m of the kerb, or of the sidewalk's far edge."""
    smith, meshes = Smith(rng, palette), []

    def stand(mesh: Mesh, s: float, d: float, flank: int, turn: float = 0.0) -> None:
        """Local +y looks across the road, local +x along its traffic."""
        ahead = road.sense(flank)
        yaw = road.heading(s) + (0 if flank < 0 else np.pi)
        if (ahead > 0) != (flank < 0):  # keep +x with the traffic by mirroring
            mesh = Mesh(mesh.corners[:, ::-1] * (-1, 1, 1), mesh.uv[:, ::-1], mesh.surface)
        meshes.append(mesh.moved(float(yaw) + turn, (*road.place(s, flank * d), STEP)))

    kerb = KERB + 0.4
    for section in sections:
        flank, ahead = section.flank, road.sense(section.flank)
        entry, leave = (section.start, section.end)[::ahead]
        if section.kind == 'junction':
            stand(smith.traffic_light(), entry - ahead * 2.2, kerb, flank)
            stand(smith.traffic_sign(), leave + ahead * 1.5, kerb, flank)
            for s in (section.start - 0.8, section.end + 0.8):
                for d in (KERB + 1.0, KERB + 2.7):
                    stand(smith.bollard(), s, d, flank)
            continue
        stand(smith.lamp(), section.middle + rng.uniform(-1, 1), kerb, flank)
        if section.kind == 'open':
            stand(smith.shelter(), section.middle + rng.uniform(2.5, 3.5) * ahead, WALK + 0.75, flank)
        else:
            stand(smith.traffic_sign(), entry + ahead * rng.uniform(0.5, 2.5), kerb, flank)
            stand(smith.bench(), section.middle + rng.uniform(3, 6), WALK + 0.3, flank)
            if rng.random() < 0.5:
                stand(smith.hydrant(), section.middle - rng.uniform(3, 6), kerb, flank)
    return meshes
