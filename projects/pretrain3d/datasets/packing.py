"""Packing of samples whose pipeline made more than mmdet3d knows of: pairs, superpixels, several views."""
from typing import Any, Dict, Optional, Sequence

import numpy as np
import torch

from mmdet3d.datasets.transforms import Pack3DDetInputs
from mmdet3d.datasets.transforms.formating import to_tensor
from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures.points import BasePoints

from .point_index import sample_name, split_index

# Re-indexed by mmdet3d's own transforms; looking them up once more would permute them twice.
_RIDES_ALONG = ('pts_semantic_mask', 'pts_instance_mask')
_EXTRA_META_KEYS = ('lidar_aug_matrix', 'img_aug_matrix')


def _to_tensors(value: Any) -> Any:
    """Arrays become tensors, also inside lists and dicts; everything else stays as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biufc':
        return to_tensor(np.ascontiguousarray(value))
    if isinstance(value, dict):
        return {key: _to_tensors(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and any(isinstance(item, (np.ndarray, torch.Tensor)) for item in value):
        return [_to_tensors(item) for item in value]
    return value


@TRANSFORMS.register_module()
class PackPretrain3DInputs(Pack3DDetInputs):
    """``Pack3DDetInputs`` that lets a method's own keys through.

    - Keys that mmdet3d's packer knows are packed by it. Any other key of ``keys`` goes into ``inputs`` under its own
      name, numpy arrays as tensors.
    - The index column of ``AddPointIndex`` is taken off the points; arrays named in ``point_keys`` are looked up
      through it, after all augmentation, and go into ``inputs``.
    - ``results['views']`` (name -> results of that view, see ``MakeViews``) is packed into ``inputs['views']``: of
      every view its points and those of ``keys`` and ``point_keys`` that it holds.
    - ``data_sample.metainfo['voxel_seed']`` is one number drawn here, from which the data preprocessor derives its
      random choices for this sample, so that they do not depend on the batch.

    Required Keys: those of ``keys`` and ``point_keys`` that mmdet3d does not know.

    Args:
        keys (Sequence[str]): Keys to pack.
        point_keys (Sequence[str]): Per-point arrays (n, ...), n points as they were at ``AddPointIndex``.
        meta_keys (Sequence[str], optional): As in ``Pack3DDetInputs``. Defaults to None: mmdet3d's own list and the
            augmentation matrices of ``UpdateCameras``.
        domain (str, optional): Name of the data set among those that are trained together ('ScanNet', 'S3DIS', ...),
            written to ``data_sample.metainfo['domain']``. Defaults to None: the sample does not say.
    """

    def __init__(self, keys: Sequence[str], point_keys: Sequence[str] = (),
                 meta_keys: Optional[Sequence[str]] = None, domain: Optional[str] = None) -> None:
        if domain is not None and (not isinstance(domain, str) or not domain):
            raise ValueError(f"domain is {domain!r}; it must be the name of the data set, e.g. 'ScanNet'")
        known = (*self.INPUTS_KEYS, *self.INSTANCEDATA_3D_KEYS, *self.INSTANCEDATA_2D_KEYS, *self.SEG_KEYS)
        wrong = [key for key in point_keys if key in _RIDES_ALONG]
        if wrong:
            raise ValueError(f'point_keys names {wrong}, which mmdet3d re-indexes itself: name them in keys')
        super().__init__(keys=tuple(key for key in keys if key in known))
        if meta_keys is None:
            self.meta_keys = (*self.meta_keys, *_EXTRA_META_KEYS)
        else:
            self.meta_keys = tuple(meta_keys)
        self.point_keys = tuple(point_keys)
        self.domain = domain
        self.extra_keys = tuple(key for key in keys if key not in known and key != 'views' and key not in point_keys)

    def pack_single_results(self, results: dict) -> dict:
        """Pack one sample.

        Returns:
            dict: ``inputs`` (dict) and ``data_samples`` (Det3DDataSample).

        Raises:
            KeyError: A key that mmdet3d does not know is not in the results.
            ValueError: A per-point array that does not fit the cloud, or no index column to look it up through.
        """
        results = dict(results)
        views = results.pop('views', None)
        own = self._pack_points(results)
        for key in (*self.extra_keys, *self.point_keys):
            in_views = views is not None and any(key in view for view in views.values())
            if key in results:
                own[key] = own.get(key, _to_tensors(results[key]))
            elif not in_views:
                raise KeyError(f'{sample_name(results)}: {type(self).__name__} is asked for {key!r}, but no transform '
                               f'made it; results hold {sorted(results)}')
        packed = super().pack_single_results(results)
        packed['inputs'].update(own)
        if views is not None:
            packed['inputs']['views'] = {name: self._pack_view(view) for name, view in views.items()}
        packed['data_samples'].set_metainfo(dict(voxel_seed=int(np.random.randint(2 ** 31 - 1))))
        if self.domain is not None:
            packed['data_samples'].set_metainfo(dict(domain=self.domain))
        return packed

    def _pack_view(self, view: dict) -> Dict[str, Any]:
        """Points and named keys of one view."""
        view = dict(view)
        packed = self._pack_points(view)
        for key in ('points', *self.keys, *self.extra_keys):
            if key in view and key not in packed:
                value = view[key]
                packed[key] = value.tensor if isinstance(value, BasePoints) else _to_tensors(value)
        return packed

    def _pack_points(self, results: dict) -> Dict[str, Any]:
        """Strip the index column of ``results['points']`` in place; return the per-point arrays looked up."""
        points = results.get('points')
        if not isinstance(points, BasePoints):
            return {}
        results['points'], index = split_index(points)
        packed = {}
        for key in self.point_keys:
            if key not in results:
                continue
            if index is None:
                raise ValueError(f'{sample_name(results)}: {key!r} is one of point_keys, but the points have no index '
                                 'column: put AddPointIndex into the pipeline, before the first augmentation')
            array = _to_tensors(results[key])
            size = results.get('point_index_size', len(array))
            if len(array) != size or (len(index) and int(index.max()) >= size):
                raise ValueError(f'{sample_name(results)}: {key!r} has {len(array)} rows, but the cloud had {size} '
                                 'points at AddPointIndex: make them equal, or move AddPointIndex')
            packed[key] = array[torch.from_numpy(index)]
        return packed

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(keys={self.keys + self.extra_keys}, point_keys={self.point_keys}, '
                f'meta_keys={self.meta_keys}, domain={self.domain!r})')
