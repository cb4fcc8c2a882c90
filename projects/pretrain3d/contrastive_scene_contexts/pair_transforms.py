"""From a listed pair, or one cloud, to two views and the rows of their points that are the same place.

A pipeline for frames::

    LoadFramePair -> MakeViews(view0=[TakeFrame, augmentation ...], view1=[...]) -> MatchViews -> PackPretrain3DInputs

and for two crops of one cloud::

    LoadPointsChecked -> KeepWorldCoordinates -> AddPointIndex -> MakeViews(view0=[...], view1=[...]) ->
    MatchViews(source='index') -> PackPretrain3DInputs

World coordinates stay behind as ``xyz_world`` while the points are turned; the packer brings both together
(``point_keys=['xyz_world']``), so neither matching nor partitioning has to undo an augmentation.
"""
from typing import Optional, Sequence, Tuple

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures.points import DepthPoints
from pretrain3d.converters.pairs.neighbours import RadiusIndex
from pretrain3d.converters.pairs.storage import read_frame, read_table
from pretrain3d.datasets.point_index import AddPointIndex, sample_name, split_index
from pretrain3d.datasets.point_moves import record_move
from pretrain3d.datasets.transforms_indoor.columns import refuse_boxes
from pretrain3d.datasets.transforms_indoor.geometry import shift_matrix
from pretrain3d.datasets.views import WORLD_KEY


@TRANSFORMS.register_module()
class LoadFramePair(BaseTransform):
    """Read both frames of a pair of ``FramePairDataset``.

    Required Keys:

    - view0_path, view1_path (str)
    - table (dict): with ``with_table``

    Added Keys:

    - frame_clouds (dict[str, dict]): ``view0`` and ``view1``, each with ``xyz`` (n, 3) float32 metres in the world,
      ``rgb`` (n, 3) uint8 and ``path``; ``TakeFrame`` turns them into points
    - frame_matches (np.ndarray): (P, 2) int64 rows of both, many-to-many, with ``with_table``
    - lidar_path (str): both files, for messages

    Args:
        with_table (bool): Whether to read the stored matches. Defaults to False.
    """

    def __init__(self, with_table: bool = False) -> None:
        self.with_table = with_table

    def transform(self, results: dict) -> dict:
        """Read the files.

        Raises:
            FileNotFoundError, ValueError: One is missing or damaged.
            KeyError: There are no stored matches.
        """
        clouds = {}
        for view in ('view0', 'view1'):
            path = results[f'{view}_path']
            xyz, rgb, _ = read_frame(path)
            clouds[view] = dict(xyz=xyz, rgb=rgb, path=path)
        results['frame_clouds'] = clouds
        results['lidar_path'] = ' + '.join(cloud['path'] for cloud in clouds.values())
        if self.with_table:
            results['frame_matches'] = self._read_matches(results)
        return results

    @staticmethod
    def _read_matches(results: dict) -> np.ndarray:
        if 'table' not in results:
            raise KeyError(f'{sample_name(results)}: the pair list has no tables; make it with --tables all, or take '
                           "LoadFramePair(with_table=False) and MatchViews(source='radius')")
        matches = read_table(results['table']['path'], results['table'])
        sizes = [len(cloud['xyz']) for cloud in results['frame_clouds'].values()]
        if len(matches) and (matches.max(0) >= sizes).any():
            raise ValueError(f'{sample_name(results)}: the table {results["table"]["path"]} names rows beyond the '
                             f'frames\' {sizes} points: it belongs to other frames; make the pairs again')
        return matches

    def __repr__(self) -> str:
        return f'{type(self).__name__}(with_table={self.with_table})'


@TRANSFORMS.register_module()
class TakeFrame(BaseTransform):
    """Make the points of a view from one of the frames of ``LoadFramePair``; the first step of the view's pipeline.

    Colours are 0 ... 255, as the loaders of scans give them. The index column is appended.

    Required Keys:

    - frame_clouds

    Added Keys:

    - points (DepthPoints): x, y, z in the world, r, g, b, index
    - xyz_world (np.ndarray): (n, 3) float32, world coordinates of the points as they are now
    - lidar_path (str)

    Removed Keys:

    - frame_clouds, frame_matches

    Args:
        view (str): 'view0' or 'view1'.
    """

    def __init__(self, view: str) -> None:
        if view not in ('view0', 'view1'):
            raise ValueError(f"TakeFrame: view is {view!r}; it must be 'view0' or 'view1'")
        self.view = view
        self._number = AddPointIndex()

    def transform(self, results: dict) -> dict:
        """Make the points."""
        if 'frame_clouds' not in results:
            raise KeyError(f'{sample_name(results)}: TakeFrame finds no frames; put LoadFramePair before MakeViews')
        cloud = results.pop('frame_clouds')[self.view]
        results.pop('frame_matches', None)
        tensor = torch.from_numpy(np.concatenate([cloud['xyz'], cloud['rgb'].astype(np.float32)], 1))
        results['points'] = DepthPoints(tensor, points_dim=6, attribute_dims=dict(color=[3, 4, 5]))
        results[WORLD_KEY] = cloud['xyz']
        results['lidar_path'] = cloud['path']
        return self._number(results)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(view={self.view!r})'


@TRANSFORMS.register_module()
class CenterOnMean(BaseTransform):
    """Move the points' mean to the origin, so that rotations turn the cloud about its middle.

    Required Keys:

    - points (BasePoints)

    Modified Keys:

    - points (BasePoints): coordinates
    """

    def transform(self, results: dict) -> dict:
        """Move the points; an empty cloud stays."""
        refuse_boxes(results, type(self).__name__)
        xyz = results['points'].tensor[:, :3]
        if len(xyz):
            mean = xyz.double().mean(0)
            results['points'].tensor[:, :3] = (xyz.double() - mean).float()
            record_move(results, type(self).__name__, shift_matrix(-mean.numpy()))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class MatchViews(BaseTransform):
    """Find the points of two views that are the same place; after ``MakeViews``, before packing.

    Required Keys:

    - views (dict[str, dict]): with index columns in their points, and ``xyz_world`` for 'radius'
    - frame_matches (np.ndarray): for 'table'

    Added Keys:

    - pairs (np.ndarray): (P, 2) int64 rows of both views' points as they will be packed, many-to-many, sorted

    Args:
        source (str): 'table', the stored matches of the frames; 'index', points with the same number, for views of one
            cloud; 'radius', points within ``radius`` in the world.
        radius (float, optional): Metres, for 'radius' only. Defaults to None.
        min_pairs (int): With fewer pairs the sample is given up and another one drawn. Defaults to 0: never.
        views (Sequence[str]): Names of the two. Defaults to ('view0', 'view1').
    """

    def __init__(self, source: str, radius: Optional[float] = None, min_pairs: int = 0,
                 views: Sequence[str] = ('view0', 'view1')) -> None:
        if source not in ('table', 'index', 'radius'):
            raise ValueError(f"MatchViews: source is {source!r}; it must be 'table', 'index' or 'radius'")
        if (source == 'radius') != (radius is not None) or (radius is not None and radius <= 0):
            raise ValueError(f"MatchViews: source={source!r} with radius={radius}; 'radius' needs metres above 0, the "
                             'others take none')
        if len(views) != 2:
            raise ValueError(f'MatchViews: views is {views}; it must name two views')
        self.source = source
        self.radius = radius
        self.min_pairs = min_pairs
        self.views = tuple(views)

    def transform(self, results: dict) -> Optional[dict]:
        """Match.

        Raises:
            KeyError, ValueError: A view, an index column, the table or world coordinates are missing.
        """
        first, second = (self._index(results, name) for name in self.views)
        if self.source == 'radius':
            pairs = self._by_radius(results, first, second)
        elif self.source == 'index':
            shared = np.intersect1d(first, second)
            pairs = follow_rows(np.stack([shared, shared], 1), first, second)
        else:
            if 'frame_matches' not in results:
                raise KeyError(f"{sample_name(results)}: MatchViews(source='table') finds no table: set with_table="
                               'True of LoadFramePair')
            pairs = follow_rows(results['frame_matches'], first, second)
        if len(pairs) < self.min_pairs:
            return None
        results['pairs'] = pairs
        return results

    def _index(self, results: dict, name: str) -> np.ndarray:
        """Row numbers (n,) that the points of a view carry."""
        if name not in results.get('views', {}):
            raise KeyError(f'{sample_name(results)}: MatchViews finds no view {name!r}, only '
                           f'{sorted(results.get("views", {}))}; put MakeViews before it')
        index = split_index(results['views'][name]['points'])[1]
        if index is None:
            raise ValueError(f'{sample_name(results)}: the points of {name!r} have no index column: start the view '
                             'with TakeFrame, or put AddPointIndex before MakeViews')
        return index

    def _by_radius(self, results: dict, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        clouds = []
        for name, index in zip(self.views, (first, second)):
            view = results['views'][name]
            if WORLD_KEY not in view:
                raise KeyError(f"{sample_name(results)}: MatchViews(source='radius') needs xyz_world of {name!r}: "
                               'start the view with TakeFrame, or put KeepWorldCoordinates before MakeViews')
            clouds.append(view[WORLD_KEY][index])
        if not len(clouds[0]) or not len(clouds[1]):
            return np.zeros((0, 2), np.int64)
        # In a loader, on the CPU, several times as fast as ops.radius_join, and what made the stored tables.
        return RadiusIndex(clouds[1], self.radius).pairs(clouds[0])

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(source={self.source!r}, radius={self.radius}, min_pairs={self.min_pairs}, '
                f'views={self.views})')


def follow_rows(pairs: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Carry pairs of rows through whatever dropped, repeated or shuffled the points.

    Args:
        pairs: (P, 2) rows of the clouds as they were. first, second: (n,), (m,) the old row of each remaining point.

    Returns:
        (Q, 2) int64 new rows, sorted. A pair whose point is gone is gone; a repeated point repeats its pairs.
    """
    (order0, start0, count0), (order1, start1, count1) = (
        _places(index, int(pairs[:, side].max(initial=-1)) + 1) for side, index in enumerate((first, second)))
    left, right = pairs[:, 0], pairs[:, 1]
    copies = count0[left] * count1[right]
    source = np.repeat(np.arange(len(pairs)), copies)
    turn = np.arange(len(source)) - np.repeat(np.cumsum(copies) - copies, copies)
    step0, step1 = np.divmod(turn, count1[right[source]])
    rows = np.stack([order0[start0[left[source]] + step0], order1[start1[right[source]] + step1]], 1)
    return rows[np.argsort(rows[:, 0] * len(second) + rows[:, 1])]


def _places(index: np.ndarray, size: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each old row is now: its ``count`` new rows are ``order[start:start + count]``."""
    count = np.bincount(index, minlength=size)
    return np.argsort(index, kind='stable'), np.cumsum(count) - count, count
