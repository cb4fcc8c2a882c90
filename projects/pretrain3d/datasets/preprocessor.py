"""Data preprocessor: from points to the sparse batch."""
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

import numpy as np
import torch
from torch import Tensor

from mmdet3d.models.data_preprocessors import Det3DDataPreprocessor
from mmdet3d.registry import MODELS
from pretrain3d.label_spaces.space import unknown

from .mix3d import mix_scenes
from .sparse_batch import build_sparse_batch, vote_voxel_labels

_PARENT_KEYS = ('points', 'img')
_RESERVED = ('voxels', 'imgs')


@MODELS.register_module()
class Pretrain3DDataPreprocessor(Det3DDataPreprocessor):
    """``Det3DDataPreprocessor`` that keeps every input and builds sparse batches, also of views.

    Images and, with ``voxel=True``, mmdet3d's own voxelisation are left to the parent. With ``voxel_size`` it adds
    ``inputs['voxels']`` and, for every view, ``inputs['views'][name]['voxels']`` (see ``sparse_batch.py``), and, where
    the samples hold ``pts_semantic_mask`` and ``num_classes`` is given, ``gt_pts_seg.voxel_semantic_mask`` (N_i,).
    Other keys of ``inputs`` pass through, their tensors moved to the device.

    A point outside ``point_cloud_range`` stays in ``inputs['points']`` but belongs to no voxel: its ``point2voxel`` is
    -1, per-point features are zero there (``sparse_batch.gather_points``).

    Args:
        voxel_size (float or sequence[float], optional): Voxel edge(s) in metres. Defaults to None: no sparse batch.
        point_cloud_range (sequence[float], optional): x0, y0, z0, x1, y1, z1 in metres, half-open. Defaults to None:
            every cloud has its own origin and all points are inside.
        coors_order (str): 'bxyz' (SpUNet, SRUNet) or 'bzyx' (mmdet3d's SparseEncoder, UVTR). Defaults to 'bxyz'.
        reduce (str): What a voxel's features are: 'mean' of its points, its 'first' point, or 'random': in training
            one point by chance, else the first. The chance is the sample's own (``voxel_seed`` of
            ``PackPretrain3DInputs``) and the same on every device. Defaults to 'mean'.
        feature_dims (sequence[int], optional): Columns of the points that become features, for instance [3, 4, 5] for
            the colour of x, y, z, r, g, b. Defaults to None: all.
        num_classes (int or dict[str, int], optional): Number of classes, also the ignore label; where samples are of
            several domains (``metainfo['domain']``), that of each. Defaults to None: no voxel labels.
        mix3d_prob (float): In training, how likely a batch is mixed (``mix3d.py``), before it is voxelised. Scenes are
            laid over each other, centred; with ``point_cloud_range`` they have the origin of the sensor in common and
            stay where they are. Defaults to 0.
        kwargs: Arguments of ``Det3DDataPreprocessor``.
    """

    def __init__(self,
                 voxel_size: Union[float, Sequence[float], None] = None,
                 point_cloud_range: Optional[Sequence[float]] = None,
                 coors_order: str = 'bxyz',
                 reduce: str = 'mean',
                 feature_dims: Optional[Sequence[int]] = None,
                 num_classes: Union[int, Mapping[str, int], None] = None,
                 mix3d_prob: float = 0.,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        if voxel_size is not None and self.voxel:
            raise ValueError('Pretrain3DDataPreprocessor: voxel=True (mmdet3d\'s voxelisation) and voxel_size (the '
                             'sparse batch) both write inputs["voxels"]; give one of them')
        if coors_order not in ('bxyz', 'bzyx'):
            raise ValueError(f"coors_order is {coors_order!r}; it must be 'bxyz' or 'bzyx'")
        if reduce not in ('mean', 'first', 'random'):
            raise ValueError(f"reduce is {reduce!r}; it must be 'mean', 'first' or 'random'")
        if point_cloud_range is not None and len(point_cloud_range) != 6:
            raise ValueError(f'point_cloud_range is {point_cloud_range}; it must be [x0, y0, z0, x1, y1, z1]')
        if isinstance(voxel_size, (int, float)):
            voxel_size = (voxel_size, ) * 3
        if voxel_size is not None and (len(voxel_size) != 3 or min(voxel_size) <= 0):
            raise ValueError(f'voxel_size is {voxel_size}; it must be one or three positive numbers of metres')
        if voxel_size is not None and point_cloud_range is not None:
            extents = (np.array(point_cloud_range[3:]) - point_cloud_range[:3]) / voxel_size
            if np.abs(extents - extents.round()).max() > 1e-3 or extents.min() < 0.5:
                raise ValueError(f'point_cloud_range {point_cloud_range} spans {extents.tolist()} voxels of '
                                 f'{voxel_size} m; it must span whole ones')
        self.voxel_size = voxel_size
        self.point_cloud_range = point_cloud_range
        self.coors_order = coors_order
        self.reduce = reduce
        self.feature_dims = feature_dims
        if not 0 <= mix3d_prob <= 1 or (mix3d_prob and voxel_size is None):
            raise ValueError(f'mix3d_prob is {mix3d_prob}; it must lie in [0, 1], and needs voxel_size')
        self.num_classes = dict(num_classes) if isinstance(num_classes, Mapping) else num_classes
        self.mix3d_prob = mix3d_prob

    def simple_process(self, data: dict, training: bool = False) -> dict:
        """Process one collated batch.

        Args:
            data (dict): ``inputs`` and ``data_samples`` from the data loader.
            training (bool): Whether random choices are made. Defaults to False.

        Returns:
            dict: ``inputs`` and ``data_samples`` as the model reads them.
        """
        inputs = data['inputs']
        clash = [key for key in _RESERVED if key in inputs]
        if clash:
            raise ValueError(f'inputs hold {clash}, which the data preprocessor writes itself: rename them in the '
                             'pipeline')
        known = {key: inputs[key] for key in _PARENT_KEYS if key in inputs}
        rest = {key: inputs[key] for key in inputs if key not in known}
        self._check_images(known.get('img', ()), data.get('data_samples'))
        out = super().simple_process({**data, 'inputs': known}, training)
        batch, samples = out['inputs'], out['data_samples']
        batch.update(self.cast_data(rest))
        if self.voxel_size is None:
            return out
        if training and self.mix3d_prob:
            batch, samples = mix_scenes(batch, samples, self.mix3d_prob, self.voxel_size,
                                        centre=self.point_cloud_range is None)
            out = dict(out, inputs=batch, data_samples=samples)
        if 'points' in batch:
            batch['voxels'] = self.build_sparse(batch['points'], samples, training)
            self._label_voxels(batch['voxels'], samples)
        # In the order of their names: a view's chance does not depend on how the pipeline lists the views.
        for place, name in enumerate(sorted(batch.get('views', ())), start=1):
            view = batch['views'][name]
            if 'points' in view:
                view['voxels'] = self.build_sparse(view['points'], samples, training, place)
        return out

    @staticmethod
    def _check_images(images: Sequence[Tensor], data_samples: Optional[list]) -> None:
        """Raise where samples have images of other shapes (cameras, 3, h, w); mmdet3d would pad them."""
        many = [i for i, each in enumerate(images) if each.dim() == 4]
        odd = next((i for i in many if images[i].shape != images[many[0]].shape), None)
        if odd is not None:
            names = [data_samples[i].metainfo.get('lidar_path', f'sample {i} of the batch') if data_samples
                     else f'sample {i} of the batch' for i in (many[0], odd)]
            raise ValueError(f'the images of {names[0]} have the shape {tuple(images[many[0]].shape)}, those of '
                             f'{names[1]} {tuple(images[odd].shape)}; a batch needs as many cameras and pixels of '
                             'every sample: give PrepareCameras and LoadCameraImages of all pipelines the same cameras '
                             'and size')

    @torch.no_grad()
    def build_sparse(self, points: List[Tensor], data_samples: Optional[list] = None, training: bool = False,
                     stream: int = 0) -> Dict[str, Any]:
        """Sparse batch of a list of clouds (n_i, C); ``stream`` tells the chances of different views apart."""
        ranks = None
        if self.reduce == 'random' and training:
            ranks = [self._rank(i, cloud, data_samples, stream) for i, cloud in enumerate(points)]
        try:
            return build_sparse_batch(points, self.voxel_size, self.point_cloud_range, self.coors_order,
                                      'mean' if self.reduce == 'mean' else 'first', self.feature_dims, ranks)
        except ValueError as error:
            raise ValueError(f'{self._suspects(points, data_samples)}: {error}') from error

    @staticmethod
    def _suspects(points: List[Tensor], data_samples: Optional[list]) -> str:
        """Names of the samples whose points are not finite or absurdly far away."""
        bad = [i for i, cloud in enumerate(points) if not (cloud[:, :3].abs() < 1e7).all()]
        names = [data_samples[i].metainfo.get('lidar_path', f'sample {i} of the batch') if data_samples
                 else f'sample {i} of the batch' for i in bad]
        return ', '.join(map(str, names)) or 'a sample of this batch'

    @staticmethod
    def _rank(place: int, cloud: Tensor, data_samples: Optional[list], stream: int) -> Tensor:
        """Random order of a cloud's points (n,), drawn on the CPU so that every device draws the same."""
        sample = None if data_samples is None else data_samples[place]
        seed = None if sample is None else sample.metainfo.get('voxel_seed')
        generator = None
        if seed is not None:  # mixed by a hash: torch's CPU generator looks at 32 bits of its seed only
            word = np.random.SeedSequence((seed, stream)).generate_state(1)[0]
            generator = torch.Generator().manual_seed(int(word))
        return torch.randperm(len(cloud), generator=generator).to(cloud.device)

    def _label_voxels(self, sparse: Dict[str, Any], data_samples: Optional[list]) -> None:
        """Write ``gt_pts_seg.voxel_semantic_mask`` where there are labels to vote with."""
        if self.num_classes is None or not data_samples:
            return
        if not all('pts_semantic_mask' in sample.get('gt_pts_seg', ()) for sample in data_samples):
            return
        labels = [sample.gt_pts_seg.pts_semantic_mask for sample in data_samples]
        numbers = [self._classes_of(sample) for sample in data_samples]
        if len(set(numbers)) == 1:
            voted = vote_voxel_labels(labels, sparse, numbers[0])
        else:
            # One label that no domain has means "none" for all while they vote together.
            none = max(numbers) + 1
            labels = [own.where(own != number, none) for own, number in zip(labels, numbers)]
            voted = [own.where(own != none, number)
                     for own, number in zip(vote_voxel_labels(labels, sparse, none), numbers)]
        for sample, own in zip(data_samples, voted):
            sample.gt_pts_seg.voxel_semantic_mask = own

    def _classes_of(self, sample: Any) -> int:
        """Number of classes in the domain of a sample."""
        if not isinstance(self.num_classes, dict):
            return self.num_classes
        domain = sample.metainfo.get('domain')
        if domain not in self.num_classes:
            raise unknown('domain', domain, self.num_classes,
                          f'{", ".join(self.num_classes)}, by num_classes of the Pretrain3DDataPreprocessor for '
                          f'{sample.metainfo.get("lidar_path", "a sample")}: name it there, and give the '
                          "PackPretrain3DInputs of the data set's pipeline its domain")
        return self.num_classes[domain]
