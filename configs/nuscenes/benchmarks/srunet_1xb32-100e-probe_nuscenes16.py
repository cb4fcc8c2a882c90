# Linear probe: a classifier on the frozen features of the pre-trained encoder, batch 32 at 2.0, on all scenes.
_base_ = ['./srunet_1xb32-100e-pretrained_nuscenes16.py']
custom_hooks = _base_.custom_hooks + [dict(type='FreezeHook', modules=['backbone'])]
