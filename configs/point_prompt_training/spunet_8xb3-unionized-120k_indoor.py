# Point Prompt Training with one classifier of the classes of all data sets.
_base_ = ['spunet_8xb3-120k_indoor.py']
model = dict(
    decode_head=dict(_delete_=True, type='UnionizedHead', in_channels=96, label_spaces=_base_.label_spaces))
