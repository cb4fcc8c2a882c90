# Point Prompt Training with a classifier for each data set.
_base_ = ['spunet_8xb3-120k_indoor.py']
model = dict(
    decode_head=dict(_delete_=True, type='DecoupledHead', in_channels=96, label_spaces=_base_.label_spaces))
