# Linear probe: a classifier on the frozen features of the pre-trained encoder.
_base_ = ['./srunet_1xb6-scannet-lr-pretrained_scannet20.py']
custom_hooks = _base_.custom_hooks + [dict(type='FreezeHook', modules=['backbone'])]
optim_wrapper = dict(optimizer=dict(lr=0.1))
