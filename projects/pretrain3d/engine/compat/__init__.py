"""Mends of the installed stack, applied once when ``pretrain3d`` is imported.

One file per mend; each says in its first line what it overcomes and acts only where the machine needs it. Nothing that
works on a CUDA machine with torch 2.1 and compiled mmcv behaves differently afterwards, except that three crashes of
mmdet3d 1.4.0 on its own default arguments are gone.
"""
import importlib

# In this order: what mmdet3d binds at its own import comes before the first line that imports it.
BEFORE_MMDET3D = ('config_text', 'spconv_alias', 'mmcv_ext', 'checkpoint_globals', 'numpy_long')
AFTER_MMDET3D = ('spconv_cpu', 'minkunet_voxels', 'minkunet_lists', 'seg3d_metainfo', 'camera_metric', 'kitti_overlap',
                 'sync_bn_cpu', 'distributed_cpu')

_applied = False


def apply() -> None:
    """Apply every mend that this machine needs; calling it again changes nothing."""
    global _applied
    if _applied:
        return
    for name in BEFORE_MMDET3D + AFTER_MMDET3D:
        importlib.import_module(f'.{name}', __name__).mend()
    _applied = True
