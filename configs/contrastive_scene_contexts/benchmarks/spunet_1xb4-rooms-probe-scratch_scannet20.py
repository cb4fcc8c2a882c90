# Linear probe of an encoder that nobody trained: the floor of the other probe.
_base_ = ['../../scannet/spunet_1xb4-rooms_scannet20.py']
custom_hooks = [
    dict(type='ConfigCheckHook'),
    dict(type='InputCheckHook'),
    dict(type='FreezeHook', modules=['backbone'])
]
model = dict(decode_head=dict(lovasz_weight=0.))
