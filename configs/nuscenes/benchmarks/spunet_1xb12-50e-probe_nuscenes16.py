# Linear probe: a classifier on the frozen features of the pre-trained SpUNet, with its own settings of training.
_base_ = ['./spunet_1xb12-50e-pretrained_nuscenes16.py']
custom_hooks = _base_.custom_hooks + [dict(type='FreezeHook', modules=['backbone'])]
