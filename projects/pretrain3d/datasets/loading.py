"""Loading of point and label files that says what is wrong with them."""
import os.path as osp
from typing import Callable, Optional, Union

import numpy as np
from mmengine.logging import MMLogger

from mmdet3d.datasets.transforms import LoadAnnotations3D, LoadPointsFromFile
from mmdet3d.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadPointsChecked(LoadPointsFromFile):
    """``LoadPointsFromFile`` with an error for a missing, truncated, non-finite or empty file.

    Args:
        on_nonfinite (str): 'raise', or 'drop': leave points with NaN or infinite values out, with a warning that
            counts them. Defaults to 'raise'.
        allow_empty (bool): Whether a cloud without points is legal. Defaults to False.
        kwargs: Arguments of ``LoadPointsFromFile``.
    """

    def __init__(self, *args, on_nonfinite: str = 'raise', allow_empty: bool = False, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if on_nonfinite not in ('raise', 'drop'):
            raise ValueError(f"LoadPointsChecked: on_nonfinite is {on_nonfinite!r}; it must be 'raise' or 'drop'")
        self.on_nonfinite = on_nonfinite
        self.allow_empty = allow_empty
        self.num_dropped = 0
        self._mask_path: Optional[str] = None

    def transform(self, results: dict) -> dict:
        """Load the points of one sample.

        Raises:
            FileNotFoundError: The file is missing.
            ValueError: The file is truncated, empty, or holds NaN or infinite values.
        """
        masks = [key for key in ('pts_semantic_mask_path', 'pts_instance_mask_path') if results.get(key)]
        self._mask_path = results[masks[0]] if masks else None
        return super().transform(results)

    def _load_points(self, pts_filename: str) -> np.ndarray:
        """Flat float32 array of the file, whole points only."""
        try:
            flat = super()._load_points(pts_filename)
        except FileNotFoundError:
            raise FileNotFoundError(
                f"point file {pts_filename} does not exist: check data_root, data_prefix['pts'] and the paths in the "
                'info file') from None
        except ValueError as error:  # numpy: buffer size must be a multiple of element size
            size = osp.getsize(pts_filename) if osp.exists(pts_filename) else 'an odd number of'
            raise ValueError(self._truncated(pts_filename, size)) from error
        if flat.size % self.load_dim:
            raise ValueError(self._truncated(pts_filename, flat.nbytes))
        points = self._finite(flat.reshape(-1, self.load_dim), pts_filename)
        if not len(points) and not self.allow_empty:
            raise ValueError(f'point file {pts_filename} holds no points: remove the sample from the info file, or set '
                             'allow_empty=True of LoadPointsChecked')
        return points.reshape(-1)

    def _truncated(self, path: str, size: Union[int, str]) -> str:
        """Message for a file that does not hold a whole number of points."""
        return (f'point file {path} has {size} bytes, not a multiple of {self.load_dim} float32 values per point: it '
                f'is truncated (copy it again), or load_dim={self.load_dim} is wrong')

    def _finite(self, points: np.ndarray, path: str) -> np.ndarray:
        """The points whose loaded columns are all finite."""
        keep = np.isfinite(points[:, self.use_dim]).all(1)
        bad = int(len(keep) - keep.sum())
        if not bad:
            return points
        if self.on_nonfinite == 'raise':
            raise ValueError(f'point file {path} has {bad} of {len(points)} points with NaN or infinite values: mend '
                             "the file, or set on_nonfinite='drop' of LoadPointsChecked")
        if self._mask_path is not None:
            raise ValueError(f'point file {path} has {bad} points with NaN or infinite values, and dropping them would '
                             f'put the labels of {self._mask_path} out of step: mend both files')
        self.num_dropped += bad
        MMLogger.get_current_instance().warning(
            f'dropped {bad} of {len(points)} points with NaN or infinite values from {path} ({self.num_dropped} so far '
            'in this process)')
        return points[keep]


@TRANSFORMS.register_module()
class LoadAnnotationsChecked(LoadAnnotations3D):
    """``LoadAnnotations3D`` with an error that names a label file which is missing, truncated, of another cloud, or
    holds ids that the dataset does not know. Place it behind the loading of the points."""

    def _load_semantic_seg_3d(self, results: dict) -> dict:
        """Load the semantic labels (n,) and check their range."""
        results = self._checked(results, 'pts_semantic_mask', super()._load_semantic_seg_3d)
        labels, table = results['pts_semantic_mask'], results.get('seg_label_mapping')
        if isinstance(table, np.ndarray) and len(labels) and not 0 <= labels.min() <= labels.max() < len(table):
            raise ValueError(f'label file {results["pts_semantic_mask_path"]} holds ids from {labels.min()} to '
                             f'{labels.max()}, the dataset knows 0 to {len(table) - 1}: convert the scan again, or set '
                             'metainfo.seg_all_class_ids of the dataset')
        return results

    def _load_masks_3d(self, results: dict) -> dict:
        """Load the instance labels (n,)."""
        return self._checked(results, 'pts_instance_mask', super()._load_masks_3d)

    @staticmethod
    def _checked(results: dict, key: str, load: Callable[[dict], dict]) -> dict:
        """Load labels; raise with the file's name where they cannot be those of the loaded points."""
        path = results[f'{key}_path']
        try:
            results = load(results)
        except FileNotFoundError:
            raise FileNotFoundError(f'label file {path} does not exist: check data_root and data_prefix[{key!r}], or '
                                    'convert the scan again') from None
        except ValueError as error:  # numpy: buffer size must be a multiple of element size
            size = osp.getsize(path) if osp.exists(path) else 'an odd number of'
            raise ValueError(f'label file {path} has {size} bytes, which is no whole number of labels: it is truncated '
                             '(copy it again), or seg_3d_dtype is wrong') from error
        if 'points' in results and len(results[key]) != len(results['points']):
            raise ValueError(f'label file {path} holds {len(results[key])} labels for {len(results["points"])} points '
                             f'of {results.get("lidar_points", {}).get("lidar_path")}: one of the two is truncated or '
                             'of another scan; convert the scan again')
        return results
