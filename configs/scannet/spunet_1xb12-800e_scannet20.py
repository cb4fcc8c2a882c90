# SpUNet on ScanNet from scratch, as Pointcept trains it: SGD 0.05, OneCycle, batch 12, 800 epochs, 2 cm. Add --amp on GPUs.
_base_ = [
    '../_base_/models/spunet.py', '../_base_/datasets/scannet20_seg.py', '../_base_/default_runtime.py',
    '../_base_/schedules/sgd_onecycle_800e.py'
]
default_hooks = dict(checkpoint=dict(interval=20))
