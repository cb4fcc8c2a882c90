"""The mends as a whole: applied by the import, once, and the same for a second call."""
import importlib
import sys

import torch

import pretrain3d  # noqa: F401
from pretrain3d.engine import compat


def wrapped_objects() -> list:
    """Everything that the mends replace."""
    from mmdet3d.datasets import Seg3DDataset
    from mmdet3d.evaluation.metrics import nuscenes_metric
    from mmdet3d.models.backbones.minkunet_backbone import MinkUNetBackbone
    from mmdet3d.models.data_preprocessors import Det3DDataPreprocessor
    from mmengine.model import MMDistributedDataParallel
    from mmengine.runner import runner
    from spconv.pytorch import conv, ops, pool
    return [
        Seg3DDataset.__init__, nuscenes_metric.nusc_box_to_cam_box3d, MinkUNetBackbone.__init__,
        Det3DDataPreprocessor.voxelize, conv.SparseConvolutionBase._conv_forward, pool.SparseMaxPool.forward,
        ops.indice_maxpool, runner.init_dist, MMDistributedDataParallel.__init__, torch.nn.SyncBatchNorm.forward,
        list(sys.meta_path)
    ]


def test_the_import_applies_every_mend():
    assert compat._applied
    assert all(hasattr(item, '__wrapped__') for item in wrapped_objects()[:-1])


def test_every_mend_is_idempotent():
    before = wrapped_objects()
    for name in compat.BEFORE_MMDET3D + compat.AFTER_MMDET3D:
        importlib.import_module(f'pretrain3d.engine.compat.{name}').mend()
    compat.apply()
    assert all(one is two or one == two for one, two in zip(before, wrapped_objects()))


def test_every_file_is_listed():
    import os
    files = {name[:-3] for name in os.listdir(os.path.dirname(compat.__file__)) if name.endswith('.py')}
    assert files - {'__init__'} == set(compat.BEFORE_MMDET3D + compat.AFTER_MMDET3D)
