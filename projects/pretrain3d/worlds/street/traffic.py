"""Who is on the street: vehicles in their lanes, parked ones, works, cycles and people.

What stands keeps clear of what stands (boxes are tested), what moves keeps to its lane, and all of a lane share one
:class:`Flow`, so that nothing ever meets.
"""
from typing import List, Optional, Tuple

import numpy as np

from .actors import Flow, Instance, Path, overlap
from .objects import draw_object
from .people import draw_cycle, draw_person
from .road import CURB_LANE, KERB, WALK, Road, Section
from .solids import Mesh
from .surfaces import Paints, Palette
from .vehicles import draw_vehicle

_PARKED, _STOPPED = ('vehicle.moving', 'vehicle.parked'), ('vehicle.moving', 'vehicle.stopped')
_PEOPLE = ('pedestrian.moving', 'pedestrian.standing')
_WALKERS = ('human.pedestrian.adult', ) * 8 + ('human.pedestrian.child', 'human.pedestrian.police_officer')
# Models of lanes that nobody has planned; weights.
_MODELS = (('vehicle.car', 0.66), ('vehicle.truck', 0.1), ('vehicle.truck/pickup', 0.06), ('vehicle.bus.rigid', 0.06),
           ('vehicle.motorcycle', 0.05), ('vehicle.bicycle', 0.03), ('vehicle.bus.bendy', 0.04))


class Traffic:
    """Places instances.

    Args:
        ego: path of the ego. duration: seconds that are shown.
    """

    def __init__(self, rng: np.random.Generator, road: Road, sections: List[Section], palette: Palette, ego: Path,
                 duration: float) -> None:
        self.rng, self.road, self.sections, self.palette = rng, road, sections, palette
        self.ego, self.duration = ego, duration
        self.instances: List[Instance] = []
        self._standing: List[Tuple[np.ndarray, float, np.ndarray]] = []

    def fill(self) -> List[Instance]:
        """Place everything, what must not be missing first."""
        for section in self.sections:
            getattr(self, f'_{section.kind}')(section)
        self._lanes()
        for flank in (-1, 1):
            self._walkers(flank)
        return self.instances

    # -- one thing --------------------------------------------------------------------------------------------------
    def _paints(self, category: str) -> Paints:
        detail = {'human': 'person', 'vehicle': 'vehicle'}.get(category.split('.')[0], 'other object')
        detail = {'movable_object.barrier': 'barrier', 'movable_object.trafficcone': 'cone'}.get(category, detail)
        return Paints(self.palette, category, detail)

    def _keep(self, category: str, mesh: Mesh, size: np.ndarray, path: Path, height: float,
              attributes: Tuple[str, str]) -> Optional[Instance]:
        """Add an instance, unless it stands and would touch another that stands."""
        if self.road.side < 0 and category.startswith('vehicle'):  # doors are on the side of the kerb
            mesh = Mesh(mesh.corners * (1, -1, 1), mesh.uv, mesh.surface)
        instance = Instance(len(self.instances), category, size, path, height, attributes, mesh.clean())
        if path.flow is None:
            corners = instance.footprint(margin=0.08)
            centre, reach = corners.mean(0), float(np.linalg.norm(corners - corners.mean(0), axis=1).max())
            for other, far, box in self._standing:
                if np.linalg.norm(other - centre) < reach + far and overlap(corners, box):
                    return None
            self._standing.append((centre, reach, corners))
        self.instances.append(instance)
        return instance

    def vehicle(self, model: str, path: Path, attributes: Tuple[str, str] = _PARKED) -> Optional[Instance]:
        """A vehicle of a model of :mod:`.vehicles`, or a cycle (with a rider if it moves)."""
        category = model.split('/')[0]
        if category in ('vehicle.bicycle', 'vehicle.motorcycle'):
            rider = path.flow is not None
            mesh, size = draw_cycle(self.rng, self._paints(category), category, rider)
            label = 'cycle.with_rider' if rider else 'cycle.without_rider'
            return self._keep(category, mesh, size, path, self.road.height(path.d), (label, label))
        mesh, size = draw_vehicle(self.rng, self._paints(category), model)
        return self._keep(category, mesh, size, path, 0.0, attributes)

    def person(self, category: str, path: Path) -> Optional[Instance]:
        """Someone who walks or stands."""
        mesh, size = draw_person(self.rng, self._paints(category), category, path.flow is not None)
        return self._keep(category, mesh, size, path, self.road.height(path.d), _PEOPLE)

    def thing(self, category: str, path: Path) -> Optional[Instance]:
        """A movable object."""
        mesh, size = draw_object(self.rng, self._paints(category), category)
        return self._keep(category, mesh, size, path, self.road.height(path.d), ('', ''))

    def _at(self, section: Section, s: float, d: float, turn: float = 0.0) -> Path:
        """What stands at s and ``d`` metres from the road's middle on the section's flank."""
        return Path(self.road, s, section.flank * d, self.road.sense(section.flank), None, turn)

    # -- sections ---------------------------------------------------------------------------------------------------
    def _works(self, section: Section) -> None:
        """A machine behind cones and barriers, with workers."""
        rng, bay = self.rng, CURB_LANE + 1.55
        self.vehicle('vehicle.construction', self._at(section, section.middle, bay - 0.05, rng.normal(0, 0.004)))
        for s, inwards in ((section.start, 1), (section.end, -1)):
            self.thing('movable_object.barrier', self._at(section, s + inwards * 0.9, bay + 0.25))
            for step in (2.4, 4.7):
                self.thing('movable_object.barrier', self._at(section, s + inwards * step, KERB - 0.45, np.pi / 2))
            for step in np.arange(0.4, 6.0, rng.uniform(1.2, 1.5)):
                self.thing('movable_object.trafficcone',
                           self._at(section, s + inwards * step, CURB_LANE + 0.32 + rng.normal(0, 0.03)))
            self.person('human.pedestrian.construction_worker',
                        self._at(section, s + inwards * rng.uniform(3.2, 4.5), bay - 0.2, rng.uniform(-3, 3)))
        self.thing('movable_object.debris', self._at(section, section.start + 5.5, bay + 0.1, rng.uniform(-0.3, 0.3)))
        aside = section.middle + rng.choice([-1, 1]) * rng.uniform(1.8, 3.2)
        self.person('human.pedestrian.construction_worker', self._at(section, aside, KERB + 0.53, rng.uniform(-3, 3)))

    def _open(self, section: Section) -> None:
        """Parked cycles, a rack, people who wait for the bus."""
        rng = self.rng
        for s in np.arange(section.start + 1.4, section.middle - 2.2, 2.1):
            self.vehicle('vehicle.bicycle', self._at(section, s, KERB + 0.53, rng.normal(0, 0.03)))
        self.thing('static_object.bicycle_rack', self._at(section, section.middle + 3.2, KERB + 0.5))
        for s in (section.start + 2.2, section.start + 3.9, section.end - 2.6):
            self.vehicle('vehicle.motorcycle', self._at(section, s, KERB - 1.25, rng.choice([-1, 1]) * 1.1))
        for s in section.middle + np.array([1.2, 2.6, 4.4]):
            self.person(_WALKERS[rng.integers(len(_WALKERS))],
                        self._at(section, s + rng.normal(0, 0.2), WALK - 0.38, rng.uniform(-0.4, 0.4) + np.pi / 2))
        self.thing('movable_object.pushable_pullable', self._at(section, section.end - 1.3, WALK + 0.75, np.pi / 2))

    def _park(self, section: Section, models: List[str]) -> None:
        """Vehicles one behind the other along the kerb."""
        at = section.start + self.rng.uniform(0.6, 1.4)
        for model in models:
            path = self._at(section, at, KERB - 1.5, self.rng.normal(0, 0.008))
            mesh, size = draw_vehicle(self.rng, self._paints(model.split('/')[0]), model)
            if at + size[1] > section.end - 0.4:
                break
            d = section.flank * (KERB - 0.2 - size[0] / 2)
            path = Path(self.road, at + size[1] / 2, d, path.sense, None, path.turn)
            self._keep(model.split('/')[0], mesh, size, path, 0.0, _PARKED)
            at += size[1] + self.rng.uniform(0.7, 1.6) + (3.0 if self.rng.random() < 0.15 else 0.0)

    def _parking(self, section: Section) -> None:
        self._park(section, ['vehicle.truck/pickup' if self.rng.random() < 0.15 else 'vehicle.car' for _ in range(5)])

    def _big(self, section: Section) -> None:
        models = ['vehicle.trailer', 'vehicle.truck', 'vehicle.car', 'vehicle.car']
        self._park(section, models if self.rng.random() < 0.5 else [models[1], models[0], *models[2:]])

    def _junction(self, section: Section) -> None:
        """A vehicle that waits in the side street, on the side of the lane that leads to the road."""
        if self.rng.random() < 0.7:
            # It looks at the road; traffic keeps to its side in the side street too.
            towards = -section.flank * np.pi / 2
            offset = -section.flank * self.road.side * 3.0
            self._keep_waiting(section, section.middle + offset, towards)

    def _keep_waiting(self, section: Section, s: float, turn: float) -> None:
        path = Path(self.road, s, section.flank * (WALK + 4.2), 1, None, turn)
        self.vehicle('vehicle.car', path, _STOPPED)
        if self.rng.random() < 0.4:
            self.vehicle('vehicle.car', Path(self.road, s, section.flank * (WALK + 10.5), 1, None, turn), _STOPPED)

    # -- what moves -------------------------------------------------------------------------------------------------
    def _lanes(self) -> None:
        """Companions of the ego that stay around it, then everybody else."""
        rng, ego, side = self.rng, self.ego, self.road.side
        mine, slow = ego.flow, ego.flow.speed
        inner = Flow(slow + rng.uniform(-0.4, 0.4), 0.3, 25.0, rng.uniform(0, 6))
        first, second = rng.permutation([0, 1])
        cycles = (('vehicle.bicycle', -0.95), ('vehicle.motorcycle', 0.7))
        others = rng.permutation(['vehicle.car', 'vehicle.car', 'vehicle.truck'])
        companions = [(cycles[first][0], 11.5, cycles[first][1]), (cycles[second][0], 17.5, cycles[second][1]),
                      (others[0], 27.5, 0.0), (others[1], -13.0, 0.0), (others[2], -26.0, 0.0)]
        for model, gap, left in companions:
            d = self.road.lane(2) + side * left
            self.vehicle(model, Path(self.road, ego.s + gap + rng.uniform(-0.8, 0.8), d, 1, mine), _STOPPED)
        self._lane(2, mine, (ego.s - 38, ego.s + 38))
        abreast = [[('vehicle.bus.rigid', 23.0), ('vehicle.car', 9.5), ('vehicle.truck/tractor', -15.0),
                    ('vehicle.trailer', -24.6)],
                   [('vehicle.truck/tractor', 29.0), ('vehicle.trailer', 19.4), ('vehicle.car', 5.0),
                    ('vehicle.bus.rigid', -17.0)]][rng.integers(2)]
        for model, gap in abreast:
            self.vehicle(model, Path(self.road, ego.s + gap, self.road.lane(1), 1, inner), _STOPPED)
        self._lane(1, inner, (ego.s - 36, ego.s + 36))
        for number in (-1, -2):
            self._lane(number, Flow(rng.uniform(5.5, 9.5), 0.4, 22.0, rng.uniform(0, 6)), (0.0, 0.0))

    def _lane(self, number: int, flow: Flow, taken: Tuple[float, float]) -> None:
        """Vehicles along a whole lane but for the stretch (s at time 0) that is ``taken``."""
        # The longest swing out in bends: they keep to the lane beside the median.
        models = [row for row in _MODELS if abs(number) == 1 or 'bendy' not in row[0]]
        rng, names = self.rng, [name for name, _ in models]
        weights = np.array([weight for _, weight in models])
        sense = 1 if number > 0 else -1
        reach = flow.travelled(self.duration)
        first, last = (-reach, self.road.length) if sense > 0 else (0.0, self.road.length + reach)
        at = first + rng.uniform(0, 20)
        while at < last:
            model = names[rng.choice(len(names), p=weights / weights.sum())]
            half = 9.0 if 'bendy' in model else 6.5  # metres that it needs before and behind its middle
            at += half
            if not taken[0] - half < at < taken[1] + half:
                offset = rng.normal(0, 0.1) if 'car' in model else 0.0
                self.vehicle(model, Path(self.road, at, self.road.lane(number) + offset, sense, flow), _STOPPED)
            at += half + rng.exponential(11.0)

    def _walkers(self, flank: int) -> None:
        """People on the two tracks of a sidewalk, who stay between two side streets for as long as they are shown."""
        rng = self.rng
        gaps = [each for each in self.sections if each.flank == flank and each.kind == 'junction']
        edges = [0.0, *(edge for gap in gaps for edge in (gap.start, gap.end)), self.road.length]
        for start, end in zip(edges[::2], edges[1::2]):
            # Between what stands at the kerb (to 0.95 m) and at the sidewalk's far edge (from 2.6 m).
            for d, sense in ((KERB + 1.36, 1), (KERB + 2.18, -1)):
                flow = Flow(rng.uniform(1.0, 1.5))
                travel = flow.travelled(self.duration + 0.5)
                low, high = (start + 1.5, end - 1.5 - travel) if sense > 0 else (start + 1.5 + travel, end - 1.5)
                at = low + rng.uniform(0, 3)
                while at < high:
                    path = Path(self.road, at, flank * d + rng.uniform(-0.04, 0.04), sense, flow)
                    self.person(_WALKERS[rng.integers(len(_WALKERS))], path)
                    at += 1.3 + rng.exponential(9.0)
