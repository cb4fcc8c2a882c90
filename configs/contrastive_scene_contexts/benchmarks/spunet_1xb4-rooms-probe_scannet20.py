# Linear probe: a classifier on the frozen features of the pre-trained encoder.
_base_ = ['./spunet_1xb4-rooms-pretrained_scannet20.py']
custom_hooks = _base_.custom_hooks + [dict(type='FreezeHook', modules=['backbone'])]
model = dict(decode_head=dict(lovasz_weight=0.))
