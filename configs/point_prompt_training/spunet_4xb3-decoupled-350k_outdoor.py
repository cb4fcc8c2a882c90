# Point Prompt Training outdoors with a classifier for each data set.
_base_ = ['spunet_4xb3-350k_outdoor.py']
model = dict(
    decode_head=dict(
        _delete_=True, type='DecoupledHead', in_channels=96, label_spaces=_base_.label_spaces, lovasz_weight=1.))
