"""One picture of a frame: points, true and predicted boxes from above, and the boxes in every camera's image.

matplotlib and PIL alone: it runs without a display, and without open3d.
"""
import os
import os.path as osp
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

import numpy as np

from .box_geometry import box_corners, headings, project_boxes

TRUTH_COLOUR, PREDICTION_COLOUR, SENSOR_COLOUR = '#00b050', '#ff2d95', '#ffb000'
# nuScenes's six cameras in the order in which panels are filled, row by row; other rigs keep their own order.
PLACES = ('CAM_FRONT_LEFT', 'CAM_BACK_LEFT', 'CAM_FRONT', 'CAM_BACK', 'CAM_FRONT_RIGHT', 'CAM_BACK_RIGHT')
ROWS = 3


@dataclass
class Camera:
    """One image: ``path`` of the file, ``lidar2cam`` (4, 4), ``cam2img`` (3, 3) or (4, 4)."""
    path: str
    lidar2cam: np.ndarray
    cam2img: np.ndarray


@dataclass
class Frame:
    """What is drawn; everything in the LiDAR frame, metres, boxes (N, >= 7) by their centre.

    Attributes:
        points: (N, >= 3). truth, predictions: boxes. scores: (N,) of the predictions.
        prediction_names: (N,) class names. cameras: name -> image.
    """
    points: np.ndarray
    truth: np.ndarray
    predictions: np.ndarray
    scores: np.ndarray
    prediction_names: List[str] = field(default_factory=list)
    cameras: Dict[str, Camera] = field(default_factory=dict)


def draw_detections(frame: Frame, path: str, title: str = '', score_threshold: float = 0.3,
                    extent: Optional[float] = None) -> str:
    """Draw a frame and write it as an image file.

    Args:
        frame: points, boxes and cameras.
        path: file to write; the suffix names the format. Folders are made.
        title: written above the picture.
        score_threshold: predictions below are left out; the legend says so.
        extent: half the side of the view from above, metres; by default what holds 99 % of the points.

    Returns:
        ``path``.
    """
    # Here, not above: importing matplotlib takes half a second that training need not spend.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    kept = np.asarray(frame.scores) >= score_threshold
    shown = Frame(np.asarray(frame.points), np.asarray(frame.truth), np.asarray(frame.predictions)[kept],
                  np.asarray(frame.scores)[kept],
                  [name for name, keep in zip(frame.prediction_names, kept) if keep], frame.cameras)
    names = _placed(frame.cameras)
    columns = -(-len(names) // ROWS)
    width = 9.6 + 5.2 * columns
    figure = Figure(figsize=(width, 9.9), dpi=120, facecolor='white')
    FigureCanvasAgg(figure)
    # Two grids, for the axes' labels of the view from above need room that images do not.
    left = 9.4 / width
    figure.suptitle(title, fontsize=13, x=0.5 / width, ha='left', y=0.985)
    _draw_above(figure.add_axes([0.55 / width, 0.05, left - 0.7 / width, 0.86]), shown, extent, score_threshold,
                int((~kept).sum()))
    if names:
        grid = figure.add_gridspec(ROWS, columns, left=left, right=1 - 0.1 / width, top=0.955, bottom=0.01, wspace=0.02,
                                   hspace=0.09)
    for place, name in enumerate(names):
        _draw_camera(figure.add_subplot(grid[place // columns, place % columns]), name, shown)
    os.makedirs(osp.dirname(path) or '.', exist_ok=True)
    figure.savefig(path)
    return path


def _placed(cameras: Dict[str, Camera]) -> List[str]:
    """Camera names in the order in which panels are filled."""
    if set(cameras) <= set(PLACES):
        return [name for name in PLACES if name in cameras]
    return list(cameras)


def _draw_above(axes: 'matplotlib.axes.Axes', frame: Frame, extent: Optional[float], threshold: float,  # noqa: F821
                left_out: int) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D
    xyz = frame.points[:, :3]
    if extent is None:
        extent = float(np.percentile(np.abs(xyz[:, :2]).max(axis=1), 99)) if len(xyz) else 50.0
    near = np.abs(xyz[:, :2]).max(axis=1) <= extent if len(xyz) else np.zeros(0, dtype=bool)
    xyz = xyz[near]
    xyz = xyz[np.argsort(xyz[:, 2], kind='stable')]  # high points on top
    axes.set_facecolor('#101418')
    axes.scatter(xyz[:, 0], xyz[:, 1], c=np.clip(xyz[:, 2], -3, 2), s=1.2, cmap='bone', vmin=-6, vmax=1, linewidths=0)
    for boxes, colour, width in ((frame.truth, TRUTH_COLOUR, 2.2), (frame.predictions, PREDICTION_COLOUR, 0.9)):
        if len(boxes):
            outline = box_corners(boxes)[:, [0, 1, 2, 3, 0], :2]
            axes.add_collection(LineCollection(list(outline), colors=colour, linewidths=width))
            axes.add_collection(LineCollection(list(headings(boxes)), colors=colour, linewidths=width))
    axes.plot(0, 0, marker='+', color=SENSOR_COLOUR, markersize=12, markeredgewidth=2)
    axes.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect='equal')
    axes.tick_params(labelsize=9)
    axes.set_xlabel('x of the LiDAR (m)', fontsize=10, labelpad=1)
    axes.set_ylabel('y of the LiDAR (m)', fontsize=10, labelpad=-6)
    handles = [
        Line2D([], [], color=TRUTH_COLOUR, lw=3, label=f'truth ({len(frame.truth)} boxes)'),
        Line2D([], [], color=PREDICTION_COLOUR, lw=1.2,
               label=f'predicted, score >= {threshold:g} ({len(frame.predictions)}; {left_out} weaker ones left out)'),
        Line2D([], [], color='#8899aa', marker='.', lw=0, label='points, brighter where higher'),
        Line2D([], [], color=SENSOR_COLOUR, marker='+', markersize=9, markeredgewidth=2, lw=0, label='sensor')]
    axes.legend(handles=handles, loc='lower center', bbox_to_anchor=(0.5, 1.0), ncol=2, frameon=False, fontsize=10,
                handlelength=1.6, borderpad=0.2)


def _draw_camera(axes: 'matplotlib.axes.Axes', name: str, frame: Frame) -> None:  # noqa: F821
    from matplotlib.collections import LineCollection
    camera = frame.cameras[name]
    axes.set(xticks=[], yticks=[])
    axes.set_title(name, fontsize=10, pad=3)
    image = _read_image(camera.path)
    if image is None:
        axes.text(0.5, 0.5, f'no image at\n{osp.basename(camera.path)}', ha='center', va='center', fontsize=8,
                  wrap=True, transform=axes.transAxes)
        return
    size = (image.shape[1], image.shape[0])
    axes.imshow(image, interpolation='bilinear')
    for boxes, colour, width in ((frame.truth, TRUTH_COLOUR, 2.4), (frame.predictions, PREDICTION_COLOUR, 1.0)):
        segments, owner = project_boxes(boxes, camera.lidar2cam, camera.cam2img, size)
        # Thinner lines for small boxes, or far ones become blobs.
        heights = {box: np.ptp(segments[owner == box][..., 1]) for box in np.unique(owner)}
        widths = [width * float(np.clip(heights[box] / (0.1 * size[1]), 0.3, 1.0)) for box in owner]
        axes.add_collection(LineCollection(list(segments), colors=colour, linewidths=widths))
        if colour == PREDICTION_COLOUR:
            _write_names(axes, segments, owner, frame, size)
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0))


def _write_names(axes: 'matplotlib.axes.Axes', segments: np.ndarray, owner: np.ndarray, frame: Frame,  # noqa: F821
                 size: Tuple[int, int]) -> None:
    """Class above the predicted boxes that are large enough to carry it, largest first, where there is room."""
    spans = [(box, segments[owner == box].reshape(-1, 2)) for box in np.unique(owner)] if frame.prediction_names else []
    written: List[Tuple[float, float]] = []
    for box, ends in sorted(spans, key=lambda span: -np.ptp(span[1][:, 1])):
        x, y = max(ends[:, 0].min(), 0), ends[:, 1].min() - 0.01 * size[1]
        crowded = any(abs(x - other[0]) < 0.1 * size[0] and abs(y - other[1]) < 0.045 * size[1] for other in written)
        if np.ptp(ends[:, 1]) < 0.09 * size[1] or crowded or x > 0.9 * size[0] or not 0.04 * size[1] < y < size[1]:
            continue
        written.append((x, y))
        axes.text(x, y, frame.prediction_names[box], fontsize=6.5, color='white', va='bottom', clip_on=True,
                  bbox=dict(facecolor=PREDICTION_COLOUR, edgecolor='none', pad=0.8, alpha=0.85))


def _read_image(path: str) -> Optional[np.ndarray]:
    """(H, W, 3) uint8, or None where there is no such file."""
    from PIL import Image
    if not osp.isfile(path):
        return None
    with Image.open(path) as image:
        return np.asarray(image.convert('RGB'))
