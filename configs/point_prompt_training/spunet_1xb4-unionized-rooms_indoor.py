# The small recipe with one classifier of the classes of all data sets.
_base_ = ['spunet_1xb4-rooms_indoor.py']
model = dict(
    decode_head=dict(_delete_=True, type='UnionizedHead', in_channels=24, label_spaces=_base_.label_spaces))
