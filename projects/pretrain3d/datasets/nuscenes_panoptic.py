"""nuScenes-panoptic's labels, which are compressed npz files."""
import io
import zipfile
from typing import Optional

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.fileio import get

from mmdet3d.registry import TRANSFORMS

# A panoptic label is category * OFFSET + number of the instance, 0 where the category is not counted.
OFFSET = 1000


@TRANSFORMS.register_module()
class LoadNuScenesPanoptic(BaseTransform):
    """Load semantic and instance labels of a keyframe from its ``*_panoptic.npz``.

    mmdet3d's ``LoadAnnotations3D(with_panoptic_3d=True, dataset_type='nuscenes')`` reads a variable before it is set,
    and takes the file for raw numbers. Place it behind the loading of the points, before ``PointSegClassMapping``.

    Required Keys:

    - pts_panoptic_mask_path (str)
    - points (BasePoints)

    Added Keys:

    - pts_semantic_mask (np.ndarray): (n,) int64 raw category ids, 0 ... 31
    - pts_instance_mask (np.ndarray): (n,) int64 the panoptic label itself, which differs between any two segments, as
      mmdet3d's ``PanopticSegMetric`` wants it; ``label % 1000`` is 0 where there is no counted instance
    - eval_ann_info (dict, where there is one): both

    Args:
        backend_args (dict, optional): How mmengine reads the file.
    """
    # Tells datasets and checks which files this reads.
    with_panoptic_3d = True

    def __init__(self, backend_args: Optional[dict] = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Load the labels.

        Raises:
            FileNotFoundError: The file is missing.
            ValueError: It is torn, of another kind, or of another cloud.
        """
        path = results['pts_panoptic_mask_path']
        panoptic = read_panoptic(path, self.backend_args)
        if len(panoptic) != len(results['points']):
            raise ValueError(f'panoptic file {path} holds {len(panoptic)} labels for {len(results["points"])} points '
                             f'of {results.get("lidar_points", {}).get("lidar_path")}: it is of another sweep')
        semantic, table = panoptic // OFFSET, results.get('seg_label_mapping')
        if isinstance(table, np.ndarray) and len(semantic) and semantic.max() >= len(table):
            raise ValueError(f'panoptic file {path} holds category {semantic.max()}, the dataset knows 0 to '
                             f'{len(table) - 1}')
        found = dict(pts_semantic_mask=semantic, pts_instance_mask=panoptic)
        results.update(found)
        if 'eval_ann_info' in results:
            results['eval_ann_info'].update(found)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'


def read_panoptic(path: str, backend_args: Optional[dict] = None) -> np.ndarray:
    """Panoptic labels (n,) int64 of a file.

    Raises:
        FileNotFoundError, ValueError: As above.
    """
    try:
        content = get(path, backend_args=backend_args)
    except FileNotFoundError:
        raise FileNotFoundError(f'panoptic file {path} does not exist: complete the download of nuScenes-panoptic, or '
                                "check data_prefix['pts_panoptic_mask']") from None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as held:
            labels = held['data']
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, TypeError, AttributeError) as error:
        raise ValueError(f'panoptic file {path} is no npz file with the array \'data\' ({type(error).__name__}: {error}'
                         '): copy it again') from error
    if labels.ndim != 1 or labels.dtype.kind not in 'ui':
        raise ValueError(f'panoptic file {path} holds {labels.dtype} of shape {labels.shape}; it must hold a row of '
                         'integers')
    return labels.astype(np.int64)
