# Linear probe of an encoder that nobody trained: the floor of the other probe.
_base_ = ['../srunet_1xb16-100e_nuscenes16.py']
custom_hooks = _base_.custom_hooks + [dict(type='FreezeHook', modules=['backbone'])]
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(lr=2.0))
