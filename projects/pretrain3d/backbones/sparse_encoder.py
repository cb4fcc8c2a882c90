"""mmdet3d's SparseEncoder as a backbone of voxels, to be pre-trained and put back into a detector."""
import copy
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from mmengine.model import BaseModule
from spconv.pytorch import SparseConvTensor, SparseSequential
from spconv.pytorch.conv import SparseConvolution
from torch import Tensor, nn

from mmdet3d.registry import MODELS

from .blocks import apply_norm, make_norm, make_sparse_tensor
from .minkunet import _apply
from .prompts.injection import ADAPTER
from .sparse_encoder_cells import coarse_cells, find_rows, gather_rows


class _Fusion(nn.Module):
    """Features of every voxel from all levels: a linear map of their concatenation, norm, ReLU, and once more.

    The first map is applied level by level, before the coarse rows are repeated, which is the same and cheaper.

    Args:
        widths: channels of the levels, the finest first.
        out_channels: channels of the result.
        norm_cfg: config of the norms.
    """

    def __init__(self, widths: Sequence[int], out_channels: int, norm_cfg: Dict) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Linear(width, out_channels, bias=False) for width in widths)
        self.norm1 = make_norm(norm_cfg, out_channels)
        self.linear = nn.Linear(out_channels, out_channels, bias=False)
        self.norm2 = make_norm(norm_cfg, out_channels)

    def forward(self, finest: SparseConvTensor, coarser: Sequence[Tuple[Tensor, Tensor]]) -> Tensor:
        """(N, out_channels) features of the voxels of ``finest``.

        The sparse tensor comes first so that prompted norms know which rows they get.

        Args:
            finest: features on the voxels themselves.
            coarser: per further level its (M, C) features and the row (N,) of each voxel there, -1 for none.
        """
        out = self.levels[0](finest.features)
        for level, (features, rows) in zip(list(self.levels)[1:], coarser):
            out = out + gather_rows(level(features), rows)
        out = apply_norm(self.norm1, out).relu()
        return apply_norm(self.norm2, self.linear(out)).relu()


@MODELS.register_module()
class SparseEncoderBackbone(BaseModule):
    """A detector's voxel encoder (child ``encoder``, mmdet3d's own class) with features for every voxel.

    The encoder runs as in the detector, to its last layer, on the same grid. Each voxel gets the features of the cells
    that stand for it at every stride (:func:`coarse_cells`), its own before the first strided layer, and the last of
    them from ``conv_out``; ``fusion`` makes ``out_channels`` of them. The fusion stays behind when the weights go to a
    detector: ``WeightTransferHook(source='backbone.encoder', target='pts_middle_encoder')``.

    What the encoder sees is what the detector will give it: points as this package has them outdoors hold their
    intensity in 0 ... 1, mmdet3d's nuScenes detectors give 0 ... 255 and a fifth column, the time since the keyframe,
    which is 0 for the points of the keyframe itself. ``column_scale`` and columns of zeros make one of the other.

    Args:
        encoder: config of mmdet3d's ``SparseEncoder``, as the detector has it.
        out_channels: channels of the result.
        column_scale: factor of each column of the voxel features; columns that the encoder has beyond them are 0.
            nuScenes detectors: (1, 1, 1, 255); KITTI's, whose intensity is in 0 ... 1: (1, 1, 1, 1).
        norm_cfg: config of the norms of the fusion.
        init_cfg: mmengine's.

    Attributes:
        coors_order: the data preprocessor must have the same, and the detector's voxel size and range.
    """

    coors_order = 'bzyx'
    takes_empty = True  # a batch without voxels goes through every norm, which may wait for other ranks

    def __init__(self, encoder: Dict, out_channels: int = 96, column_scale: Sequence[float] = (1., 1., 1., 255.),
                 norm_cfg: Optional[Dict] = None, init_cfg: Optional[Dict] = None) -> None:
        super().__init__(init_cfg)
        self.encoder = MODELS.build(copy.deepcopy(encoder))
        self.in_channels = len(column_scale)
        self.out_channels = out_channels
        if self.in_channels > self.encoder.in_channels:
            raise ValueError(f'column_scale has {self.in_channels} factors, the encoder {self.encoder.in_channels} '
                             'channels (in_channels of its config): there can be no more factors than channels')
        self.register_buffer('column_scale', torch.tensor(column_scale, dtype=torch.float32), persistent=False)
        widths = [conv.in_channels for conv in self._strided_convs()] + [self.encoder.output_channels]
        self.fusion = _Fusion(widths, out_channels, norm_cfg or dict(type='BN1d', eps=1e-3, momentum=0.01))

    def _strided_convs(self) -> List[SparseConvolution]:
        """The layers that change the grid, in order."""
        return [module for module in self.encoder.modules()
                if isinstance(module, SparseConvolution) and not module.subm]

    def encoder_inputs(self, voxels: Tensor) -> Tensor:
        """Voxel features (N, C) as the detector gives them to its encoder: (N, in_channels of the encoder)."""
        scaled = voxels * self.column_scale
        return nn.functional.pad(scaled, (0, self.encoder.in_channels - self.in_channels))

    def forward(self, sparse: Mapping) -> Tensor:
        """Encode a sparse batch.

        Args:
            sparse: ``voxels`` (N, C), ``coors`` (N, 4) [batch, z, y, x], ``batch_size``, ``spatial_shape`` no larger
                than the encoder's ``sparse_shape``.

        Returns:
            (N, out_channels), row i belongs to ``coors[i]``.
        """
        self._check_extents(sparse)
        x = make_sparse_tensor(sparse, self.in_channels, 1, self.coors_order)
        # As mmdet3d's own forward: in float32, on the encoder's extents.
        with torch.autocast(x.features.device.type, enabled=False):
            x = SparseConvTensor(self.encoder_inputs(x.features.float()), x.indices, list(self.encoder.sparse_shape),
                                 x.batch_size)
            finest, *coarser, last = self.encode(x)
            steps = zip([finest, *coarser], [*coarser, last], self._strided_convs())
            return self.fusion(finest, _follow_down(steps))

    def encode(self, x: SparseConvTensor) -> List[SparseConvTensor]:
        """What every strided layer gets, and what the last one, ``conv_out`` with its norm, gives."""
        levels: List[SparseConvTensor] = []
        for part in (self.encoder.conv_input, self.encoder.encoder_layers, self.encoder.conv_out):
            x = _run(part, x, levels)
        return [*levels, x]

    def _check_extents(self, sparse: Mapping) -> None:
        extents, limit = sparse.get('spatial_shape', ()), self.encoder.sparse_shape
        if any(extent > most for extent, most in zip(extents, limit)):
            raise ValueError(
                f'the sparse batch spans {list(extents)} voxels [z, y, x], the encoder was built for {list(limit)} '
                "(sparse_shape): give the data_preprocessor the detector's voxel_size and point_cloud_range, and "
                "coors_order='bzyx'")


def _run(module: nn.Module, x: SparseConvTensor, levels: List[SparseConvTensor]) -> SparseConvTensor:
    """Apply a part of the encoder layer by layer; what strided layers get is appended to ``levels``."""
    if isinstance(module, (nn.Sequential, SparseSequential)):
        if ADAPTER in module.__dict__:
            x = module.__dict__[ADAPTER](x)
        for layer in module.children():
            x = _run(layer, x, levels)
        return x
    if isinstance(module, SparseConvolution) and not module.subm:
        levels.append(x)
    return _apply(module, x)


def _follow_down(steps) -> List[Tuple[Tensor, Tensor]]:
    """Features of every level below the first, with the row there of each voxel of the first.

    Args:
        steps: (finer, coarser, convolution between them) of every level.
    """
    found, rows = [], None
    for finer, coarser, conv in steps:
        cells = coarse_cells(finer.indices[:, 1:], conv.kernel_size, conv.stride, conv.padding, coarser.spatial_shape)
        own = find_rows(coarser.indices, finer.indices[:, 0], cells, coarser.spatial_shape)
        if rows is None:
            rows = own
        else:
            rows = torch.cat([own, own.new_full((1, ), -1)])[rows]
        found.append((coarser.features, rows))
    return found
