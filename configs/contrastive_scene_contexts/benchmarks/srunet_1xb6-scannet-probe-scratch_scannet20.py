# Linear probe of an encoder that nobody trained: the floor of the other probe. A classifier alone learns at 0.1.
_base_ = ['./srunet_1xb6-scannet-lr-scratch_scannet20.py']
custom_hooks = _base_.custom_hooks + [dict(type='FreezeHook', modules=['backbone'])]
optim_wrapper = dict(optimizer=dict(lr=0.1))
