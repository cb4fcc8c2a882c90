# mmdet3d's MinkUNet on colours alone, trained as the SpUNet beside it: a comparison at equal settings.
_base_ = [
    '../_base_/models/minkunet.py', '../_base_/datasets/scannet20_seg.py', '../_base_/default_runtime.py',
    '../_base_/schedules/sgd_onecycle_800e.py'
]
default_hooks = dict(checkpoint=dict(interval=20))
