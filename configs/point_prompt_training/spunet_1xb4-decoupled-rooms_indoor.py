# The small recipe with a classifier for each data set.
_base_ = ['spunet_1xb4-rooms_indoor.py']
model = dict(
    decode_head=dict(_delete_=True, type='DecoupledHead', in_channels=24, label_spaces=_base_.label_spaces))
