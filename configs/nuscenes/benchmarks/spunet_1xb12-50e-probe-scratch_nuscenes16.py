# Linear probe of an encoder that nobody trained: the floor of the other probe.
_base_ = ['../spunet_1xb12-50e_nuscenes16.py']
custom_hooks = _base_.custom_hooks + [dict(type='FreezeHook', modules=['backbone'])]
