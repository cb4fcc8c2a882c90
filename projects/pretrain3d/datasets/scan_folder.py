"""Scans without labels: coloured clouds of any folder, for inference."""
from pathlib import Path
from typing import List, Sequence, Union

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset

from mmdet3d.registry import DATASETS, TRANSFORMS
from mmdet3d.structures.points import DepthPoints
from pretrain3d.label_spaces import get_label_space
from pretrain3d.normals import vertex_normals

from .info_check import InfoFileError

SUFFIXES = ('.ply', '.npy', '.bin')
CHANNELS = ('red', 'green', 'blue')


def read_cloud(path: Union[str, Path], columns: int = 9) -> np.ndarray:
    """x, y, z in metres, r, g, b in 0 ... 255 and, where the file has them, nx, ny, nz of every point.

    Args:
        path: ``.ply`` with vertices x, y, z, red, green, blue and, if it has them, nx, ny, nz; a mesh without normals
            gets the area-weighted mean over the faces of each vertex. ``.npy`` of (n, 6) or (n, 9) numbers. ``.bin`` of
            float32.
        columns: numbers per point of a ``.bin``, 6 or 9.

    Returns:
        (n, 6) or (n, 9) float32.

    Raises:
        ValueError: the file is missing, damaged or of another kind, or its colours are not in 0 ... 255.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f'{path}: a scan must be one of {SUFFIXES}')
    try:
        if path.suffix == '.ply':
            cloud = _read_ply(path)
        elif path.suffix == '.npy':
            cloud = np.load(path, allow_pickle=False)
        else:
            cloud = np.fromfile(path, np.float32).reshape(-1, columns)
    except FileNotFoundError:
        raise ValueError(f'{path} does not exist') from None
    except Exception as error:  # plyfile raises of every kind
        raise ValueError(f'{path} cannot be read as a scan ({type(error).__name__}: {error}): copy it again'
                         + (f', or say how many columns it has (now {columns})' if path.suffix == '.bin' else '')
                         ) from error
    if cloud.ndim != 2 or cloud.shape[1] not in (6, 9) or cloud.dtype.kind not in 'fiu':
        raise ValueError(f'{path} holds {cloud.dtype} of shape {cloud.shape}; it must be numbers (n, 6): x, y, z, r, '
                         'g, b, or (n, 9): with the normal behind')
    cloud = cloud.astype(np.float32)
    if not np.isfinite(cloud).all():
        raise ValueError(f'{path} holds NaN or infinite numbers: remove these points')
    colour = cloud[:, 3:6]
    if len(cloud) and (colour.min() < 0 or colour.max() > 255 or 0 < colour.max() <= 1):
        raise ValueError(f'{path} has colours from {colour.min():g} to {colour.max():g}; they must be in 0 ... 255')
    return cloud


def _read_ply(path: Path) -> np.ndarray:
    """Vertices (n, 6 or 9) of a ``.ply`` file."""
    from plyfile import PlyData
    ply = PlyData.read(str(path))
    vertex = ply['vertex'].data
    missing = [name for name in (*'xyz', *CHANNELS) if name not in vertex.dtype.names]
    if missing:
        raise ValueError(f'its vertices have no {", ".join(missing)}, only {", ".join(vertex.dtype.names)}')
    parts = [np.stack([vertex[name] for name in names], 1) for names in ('xyz', CHANNELS)]
    if all(name in vertex.dtype.names for name in ('nx', 'ny', 'nz')):
        parts.append(np.stack([vertex[name] for name in ('nx', 'ny', 'nz')], 1))
    elif 'face' in ply and len(ply['face'].data):
        faces = np.asarray(ply['face'].data['vertex_indices'].tolist(), np.int64).reshape(-1, 3)
        parts.append(vertex_normals(parts[0], faces))
    return np.concatenate([part.astype(np.float32) for part in parts], 1)


@TRANSFORMS.register_module()
class LoadScan(BaseTransform):
    """Load a cloud that nobody converted (:func:`read_cloud`). Its normals, if it has none: ``FillNormals`` behind it.

    Required Keys:

    - lidar_path (str)

    Added Keys:

    - points (DepthPoints): with ``color`` and, where the file has them, ``normal`` in ``attribute_dims``

    Args:
        columns (int): Numbers per point of ``.bin`` files, 6 or 9. Defaults to 9.
    """

    def __init__(self, columns: int = 9) -> None:
        if columns not in (6, 9):
            raise ValueError(f'LoadScan: columns is {columns}; it must be 6 or 9 (with normals)')
        self.columns = columns

    def transform(self, results: dict) -> dict:
        """Load the points of one scan.

        Raises:
            ValueError: As :func:`read_cloud`; or what should be normals in a ``.bin`` is too long, as where it has six
                columns: one in three of those can be cut into nine.
        """
        path = results['lidar_path']
        cloud = read_cloud(path, self.columns)
        if Path(path).suffix == '.bin' and np.abs(cloud[:, 6:]).max(initial=0) > 1.01:
            raise ValueError(f'{path} has normals longer than 1: if it holds x, y, z, r, g, b alone, set columns=6 of '
                             'LoadScan')
        named = dict(color=[3, 4, 5], **(dict(normal=[6, 7, 8]) if cloud.shape[1] == 9 else {}))
        results['points'] = DepthPoints(torch.from_numpy(cloud), points_dim=cloud.shape[1], attribute_dims=named)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(columns={self.columns})'


@DATASETS.register_module()
class ScanFolderDataset(BaseDataset):
    """Every scan below a folder, without labels; the classes are those in which predictions are to be written.

    Args:
        data_root (str): Folder, searched with its subfolders, or one file.
        label_space (str): Whose classes the model predicts: 'ScanNet20', 'ScanNet200', 'S3DIS13', 'Structured3D25'.
        suffixes (Sequence[str]): Ends of the names of the scans. Defaults to ``.ply``, ``.npy`` and ``.bin``.
            For ScanNet's download: ``['_vh_clean_2.ply']``.
        kwargs: Arguments of mmengine's ``BaseDataset``.
    """

    def __init__(self, data_root: str, label_space: str, suffixes: Sequence[str] = SUFFIXES, **kwargs) -> None:
        self.suffixes = tuple(suffixes)
        wrong = [suffix for suffix in self.suffixes if Path(suffix).suffix not in SUFFIXES and suffix not in SUFFIXES]
        if wrong or not self.suffixes:
            raise ValueError(f'ScanFolderDataset: suffixes are {list(self.suffixes)}; each must end in one of '
                             f'{SUFFIXES}')
        super().__init__(ann_file='', data_root=data_root, metainfo=get_label_space(label_space).metainfo(),
                         **dict(dict(test_mode=True, serialize_data=False), **kwargs))

    def load_data_list(self) -> List[dict]:
        """One entry a scan, in the order of the names."""
        root = Path(self.data_root)
        if not root.exists():
            raise InfoFileError(f'{root} does not exist: check data_root of ScanFolderDataset')
        paths = [root] if root.is_file() else sorted(
            path for path in root.rglob('*') if path.is_file() and path.name.endswith(self.suffixes))
        if not paths:
            raise InfoFileError(f'folder {root} holds no scan (*{", *".join(self.suffixes)}): check data_root and '
                                'suffixes of ScanFolderDataset')
        return [dict(lidar_path=str(path), lidar_points=dict(lidar_path=str(path)), sample_idx=index)
                for index, path in enumerate(paths)]
