# Linear probe: a classifier on the frozen features of the pre-trained encoder.
_base_ = ['./srunet_1xb4-street-pretrained_nuscenes16.py']
custom_hooks = _base_.custom_hooks + [dict(type='FreezeHook', modules=['backbone'])]
