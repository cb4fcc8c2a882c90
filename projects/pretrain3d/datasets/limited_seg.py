"""Indoor segmentation with few scans or few labelled points, as options of a data set."""
import logging
from pathlib import Path
from typing import Dict, Optional, Sequence, Union

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from mmdet3d.datasets import Seg3DDataset
from mmdet3d.registry import TRANSFORMS

from .point_index import sample_name
from .scannet_lists import choose_points, read_point_list, scan_rng, split_names
from .transforms_indoor.columns import LIMITED_KEY


def check_indices(indices: np.ndarray, vertices: Optional[int], scan: str, source: str) -> None:
    """Raise where a list ``source`` names vertices that ``scan`` does not have; ``vertices`` is None if unknown."""
    if vertices is not None and len(indices) and indices.max() >= vertices:
        raise ValueError(f'{scan} has {vertices} vertices, but {source} lists vertex {indices.max()}: the list is of '
                         'another mesh, or vertices were dropped in conversion')


def scan_name(info: dict) -> str:
    """Name of a sample's scan, e.g. 'scene0000_00'."""
    return info.get('scan') or Path(sample_name(info)).stem


class LimitedSegDataset(Seg3DDataset):
    """``Seg3DDataset`` whose training set may be limited; a whole scan is one sample, drawn once an epoch.

    Args:
        limit_scenes (float or str, optional): Share of the scans in (0, 1], drawn by ``limit_seed``, or a file with
            one scan a line. Defaults to None: all.
        limit_points (int or str, optional): Labelled points of every scan, drawn by ``limit_seed`` instance by
            instance, or a list file (:func:`~.scannet_lists.read_point_list`). All other labels become
            ``ignore_index``. Needs ``LimitAnnotations`` in the pipeline. Defaults to None: all labels.
        limit_seed (int): Defaults to 0.
        metainfo, scene_idxs, test_mode: As in ``Seg3DDataset``; without ``scene_idxs`` every scan once.
        kwargs: Arguments of the data set.
    """

    def __init__(self,
                 metainfo: Optional[dict] = None,
                 limit_scenes: Union[float, str, None] = None,
                 limit_points: Union[int, str, None] = None,
                 limit_seed: int = 0,
                 test_mode: bool = False,
                 **kwargs) -> None:
        if test_mode and (limit_scenes is not None or limit_points is not None):
            raise ValueError(f'{type(self).__name__}: limit_scenes and limit_points are for training; leave them out '
                             'where test_mode=True')
        if isinstance(limit_points, int) and limit_points < 1:
            raise ValueError(f'limit_points is {limit_points}; it must be at least 1, a list file, or None for all')
        self.limit_scenes = limit_scenes
        self.limit_points = limit_points
        self.limit_seed = limit_seed
        self._point_list = read_point_list(limit_points) if isinstance(limit_points, (str, Path)) else None
        super().__init__(
            metainfo=dict(classes=self.METAINFO['classes']) if metainfo is None else dict(metainfo),
            test_mode=test_mode,
            **kwargs)
        steps = getattr(self.pipeline, 'transforms', ())
        if limit_points is not None and not any(isinstance(step, LimitAnnotations) for step in steps):
            raise ValueError(f'{type(self).__name__} has limit_points={limit_points!r}, but its pipeline has no '
                             'LimitAnnotations: put it behind PointSegClassMapping')

    def get_scene_idxs(self, scene_idxs: Union[Sequence[int], np.ndarray, str, None]) -> np.ndarray:
        """Samples of an epoch (K,) int32, scans that the split leaves out removed."""
        if self.test_mode:
            return super().get_scene_idxs(scene_idxs)
        chosen = super().get_scene_idxs(np.arange(len(self)) if scene_idxs is None else scene_idxs)
        if self.limit_scenes is None and self._point_list is None:
            return chosen
        infos = [self.get_data_info(i) for i in range(len(self))]
        names = [scan_name(info) for info in infos]
        if self.limit_scenes is not None:
            kept = set(split_names(self.limit_scenes, names, self.limit_seed))
            chosen = chosen[[names[i] in kept for i in chosen]]
        if self._point_list is not None:
            self._check_list({names[i]: infos[i].get('num_points') for i in chosen})
        return chosen

    def _check_list(self, vertices: Dict[str, Optional[int]]) -> None:
        """The list of points fits the scans, whose number of vertices is given where it is known."""
        missing = sorted(set(vertices) - set(self._point_list))
        if missing:
            raise ValueError(f'{self.limit_points} lists no points for {len(missing)} scans of the data set, first '
                             f'{missing[0]}: it is a list of another split; choose the scans with limit_scenes')
        for scan, count in vertices.items():
            check_indices(self._point_list[scan], count, scan, self.limit_points)
        bare = sorted(scan for scan in vertices if not len(self._point_list[scan]))
        if len(bare) == len(vertices):
            raise ValueError(f'{self.limit_points} labels no point of any of the {len(bare)} scans: nothing would be '
                             'learnt from it')
        if bare:
            print_log(f'{self.limit_points}: {len(bare)} of {len(vertices)} scans have no labelled point, first '
                      f'{bare[0]}', 'current', logging.WARNING)

    def get_data_info(self, idx: int) -> dict:
        """Info of a sample, with what ``LimitAnnotations`` is to keep."""
        info = super().get_data_info(idx)
        if self.limit_points is not None:
            listed = None if self._point_list is None else self._point_list.get(scan_name(info))
            info['limit_points'] = dict(
                indices=listed, count=self.limit_points, seed=self.limit_seed, ignore_index=self.ignore_index)
        return info


@TRANSFORMS.register_module()
class LimitAnnotations(BaseTransform):
    """Turn all labels but those of the listed points into the ignore label, as ``limit_points`` of the data set asks.

    Place it behind ``PointSegClassMapping`` and before anything that drops or shuffles points. Does nothing where the
    data set has no ``limit_points``.

    Required Keys:

    - limit_points (dict, optional): written by the data set
    - pts_semantic_mask (np.ndarray)
    - pts_instance_mask (np.ndarray): where points are drawn, not listed

    Modified Keys:

    - pts_semantic_mask, pts_instance_mask (0 for points that are not listed)

    Added Keys:

    - limited_annotations (int): the ignore label; tells the sampling transforms to spare labelled points
    """

    def transform(self, results: dict) -> dict:
        """Limit the labels.

        Raises:
            ValueError: A listed index exceeds the scan's vertices.
            KeyError: Points are to be drawn and there are no instances.
        """
        limit = results.get('limit_points')
        if limit is None:
            return results
        semantic, ignore = np.asarray(results['pts_semantic_mask']), limit['ignore_index']
        keep = limit['indices']
        if keep is None:
            if 'pts_instance_mask' not in results:
                raise KeyError(f'{sample_name(results)}: limit_points={limit["count"]} draws points instance by '
                               'instance: set with_mask_3d=True in LoadAnnotations3D')
            keep = choose_points(semantic, np.asarray(results['pts_instance_mask']), limit['count'], ignore,
                                 scan_rng(scan_name(results), limit['seed']))
        else:
            check_indices(keep, len(semantic), sample_name(results), limit['count'])
        for key, fill in (('pts_semantic_mask', ignore), ('pts_instance_mask', 0)):
            if key in results:
                limited = np.full_like(results[key], fill)
                limited[keep] = results[key][keep]
                results[key] = limited
        results[LIMITED_KEY] = ignore
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
