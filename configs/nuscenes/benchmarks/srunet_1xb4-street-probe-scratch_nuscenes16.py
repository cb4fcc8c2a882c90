# Linear probe of an encoder that nobody trained: the floor of the other probe.
_base_ = ['../srunet_1xb4-street_nuscenes16.py']
custom_hooks = _base_.custom_hooks + [dict(type='FreezeHook', modules=['backbone'])]
