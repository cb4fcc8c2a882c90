"""A segmentation to look at: clouds beside truth, predictions and errors, and what each class is mistaken for."""
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw

from ..converters.batch import SceneError
from ..label_spaces import LabelSpace
from .raster import View, colour_pixels, edge_shade, halve, point_radius, rasterise, shade, view_from
from .report import Html, bar, join, legend, swatch, table
from .scans import SPACE, BrowsedScan
from .sheet import ELEVATION, best_azimuth, label_colours

PANEL = (600, 460)  # pixels
RIGHT, WRONG, UNLABELLED = (196, 202, 212), (214, 30, 36), (238, 236, 228)
DOT = 6.0
# A labelled point further than this behind the surface in front of it is hidden, in metres.
HIDDEN = 0.1


@dataclass
class SceneDrawing:
    """One scan seen from the corner that shows most of its furniture; every panel is drawn from there."""
    scan: BrowsedScan
    view: View
    index: np.ndarray
    depth: np.ndarray
    light: np.ndarray
    edges: np.ndarray

    @classmethod
    def of(cls, scan: BrowsedScan, azimuth: Optional[float] = None, elevation: float = ELEVATION) -> 'SceneDrawing':
        """Find the view and what is seen in it.

        Args:
            azimuth: radians in the aligned frame; ``None``: the corner that shows most furniture. elevation: radians.
        """
        xyz, normal = scan.aligned(), scan.aligned_normals()
        if azimuth is None:
            azimuth = best_azimuth(xyz, normal, scan.label, scan.space)
        view = view_from(xyz, azimuth, elevation, 2 * PANEL[0], 2 * PANEL[1])
        index, depth = rasterise(view, xyz, normal, point_radius(xyz))
        return cls(scan, view, index, depth, shade(view, normal)[:, None], edge_shade(depth))

    def cloud(self) -> Image.Image:
        """The cloud in its own colours."""
        return self._draw(self.scan.rgb.astype(float))

    def labels(self, label: np.ndarray) -> Image.Image:
        """The cloud in the colours of the classes ``label`` (V,), ignore index included."""
        return self.coloured(label_colours(self.scan.space)[label])

    def coloured(self, colours: np.ndarray) -> Image.Image:
        """The cloud in the colours (V, 3), 0 ... 255, under the view's light."""
        return self._draw(colours * self.light)

    def mark(self, picture: Image.Image, row: int, circles: Sequence[float] = ()) -> Image.Image:
        """Put a mark on the point ``row`` of a panel, hidden or not, with circles of these radii (metres) around it."""
        draw = ImageDraw.Draw(picture)
        column, line, _ = self._places(np.array([row]))[0]
        x, y = column / 2, line / 2
        for radius in (size * self.view.scale / 2 for size in circles):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=(0, 0, 0), width=2)
        draw.ellipse((x - DOT, y - DOT, x + DOT, y + DOT), fill=(255, 255, 255), outline=(0, 0, 0), width=3)
        return picture

    def errors(self, prediction: np.ndarray) -> Image.Image:
        """Wrong points of a prediction (V,) in red, right ones grey, those without a label pale."""
        truth = self.scan.label
        kind = np.where(truth == self.scan.space.ignore_index, 2, (truth != prediction).astype(int))
        return self._draw(np.array([RIGHT, WRONG, UNLABELLED], float)[kind] * self.light)

    def labelled(self, rows: np.ndarray) -> Image.Image:
        """The cloud, faded, with the points ``rows`` as dots of their class; hidden ones are rings."""
        grey = 255 - (255 - self.scan.rgb.astype(float)) * 0.55
        picture = self._draw(grey)
        draw = ImageDraw.Draw(picture)
        colours = label_colours(self.scan.space)
        for (column, row, depth), label in zip(self._places(rows), self.scan.label[rows]):
            seen = self.depth[int(np.clip(row, 0, self.view.height - 1)), int(np.clip(column, 0, self.view.width - 1))]
            colour = tuple(int(part) for part in colours[label])
            box = (column / 2 - DOT, row / 2 - DOT, column / 2 + DOT, row / 2 + DOT)
            if depth > seen + HIDDEN:
                draw.ellipse(box, outline=colour, width=3)
            else:
                draw.ellipse(box, fill=colour, outline=(0, 0, 0), width=2)
        return picture

    def _places(self, rows: np.ndarray) -> np.ndarray:
        """(N, 3) column, row (pixels at twice the panel's size) and depth of points."""
        return self.view.project(self.scan.aligned(rows))

    def _draw(self, colours: np.ndarray) -> Image.Image:
        return Image.fromarray(halve(colour_pixels(self.index, colours, self.edges)))


def check_prediction(scan: BrowsedScan, prediction: np.ndarray, source: object) -> np.ndarray:
    """``prediction`` as int64 if it fits the scan.

    Raises:
        SceneError: it has another length, or values that are no class; ``source`` says where it came from.
    """
    if prediction.shape != scan.label.shape:
        raise SceneError(f'{source}: {len(prediction)} predictions for the {len(scan.label)} points of {scan.name}; '
                         'test again on this conversion')
    last = scan.space.ignore_index
    if not 0 <= prediction.min() <= prediction.max() <= last:
        raise SceneError(f'{source}: holds {prediction.min()} ... {prediction.max()}, but classes are 0 ... {last}')
    return prediction.astype(np.int64)


def share_right(truth: np.ndarray, prediction: np.ndarray, space: LabelSpace = SPACE) -> float:
    """Share of the labelled points that are predicted right, nan without any."""
    known = truth != space.ignore_index
    return float((truth == prediction)[known].mean()) if known.any() else float('nan')


def confusion(pairs: Sequence[Tuple[np.ndarray, np.ndarray]], space: LabelSpace = SPACE) -> np.ndarray:
    """Counts (classes, classes + 1) over (truth, prediction) pairs: rows truth, columns prediction, last one none."""
    size = space.num_classes + 1
    counts = np.zeros(size * size, np.int64)
    for truth, prediction in pairs:
        counts += np.bincount(truth * size + prediction, minlength=size * size)
    return counts.reshape(size, size)[:-1]


def mistaken_for(row: np.ndarray, own: int, least: float = 0.1, space: LabelSpace = SPACE) -> str:
    """The other classes that most of a class's points are taken for, '' if none takes a share of ``least``."""
    if not row.sum():
        return ''
    share = row / row.sum()
    names = [*space.classes, 'no class']
    worst = [index for index in np.argsort(-share, kind='stable') if index != own and share[index] >= least][:2]
    return ', '.join(f'{names[index]} {100 * share[index]:.0f} %' for index in worst)


def class_table(runs: Mapping[str, Mapping[str, float]], counts: Optional[np.ndarray] = None,
                level: str = 'vertex', space: LabelSpace = SPACE) -> Html:
    """Per-class IoU of one or several runs, as ``MeanIoUMetric`` returns it, commonest class first.

    Of two runs the difference is told too.

    Args:
        runs: name -> scores; keys ``iou_<level>/<class>``, ``miou/<level>``.
        counts: confusion (classes, classes + 1) of one of them; adds how common a class is and what it is taken for.
        space: whose classes they are.
    """
    scores = {name: by_class(found, level, space) for name, found in runs.items()}
    listed = [index for index in range(space.num_classes) if any(index in found for found in scores.values())]
    header = ['class', *(f'IoU {name}' if len(runs) > 1 else 'IoU' for name in runs)]
    header += ['difference'] if len(runs) == 2 else []
    if counts is not None:
        listed.sort(key=lambda index: -counts[index].sum())
        header += ['share of the points', 'mostly taken for']
    rows: List[List[object]] = []
    for index in listed:
        colour = space.palette[index]
        row: List[object] = [join([swatch(colour), space.classes[index]], '')]
        row += [bar(found[index], colour, f'{found[index]:.3f}') if index in found else '–'
                for found in scores.values()]
        row += [difference(*(found.get(index) for found in scores.values()))] if len(runs) == 2 else []
        if counts is not None:
            share = 100 * counts[index].sum() / max(counts.sum(), 1)
            row += [f'{share:.1f} %', mistaken_for(counts[index], index, space=space)]
        rows.append(row)
    extra = ['', ''] if counts is not None else []
    means = [found.get(f'miou/{level}', float('nan')) for found in runs.values()]
    told = [difference(*means)] if len(runs) == 2 else []
    rows.append(['mean', *(bar(value, (60, 60, 66), f'{value:.3f}') for value in means), *told, *extra])
    return table(header, rows, totals=1)


def difference(before: Optional[float], after: Optional[float]) -> str:
    """The change with its sign, '–' where one of the two is missing."""
    return '–' if before is None or after is None else f'{after - before:+.3f}'


def by_class(scores: Mapping[str, float], level: str, space: LabelSpace = SPACE) -> Dict[int, float]:
    """Class index -> IoU of the classes that have one, whichever spelling the data set uses."""
    prefix = f'iou_{level}/'
    return {space.index(key[len(prefix):]): value for key, value in scores.items() if key.startswith(prefix)}


def class_legend(labels: Sequence[np.ndarray], space: LabelSpace = SPACE) -> Html:
    """Names and colours of the classes that occur in ``labels``, commonest first."""
    count = sum(np.bincount(label, minlength=space.num_classes + 1) for label in labels)
    names, colours = [*space.classes, 'no class'], label_colours(space)
    order = [index for index in np.argsort(-count, kind='stable') if count[index]]
    return legend((names[index], colours[index]) for index in order)
