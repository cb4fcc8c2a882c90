# ScanNet200 from a joint model (PRETRAIN3D_CHECKPOINT) with a fresh linear classifier in place of words.
_base_ = ['spunet_1xb12-600e-ppt_scannet200.py']
model = dict(
    decode_head=dict(
        _delete_=True, type='DecoupledHead', in_channels=96, label_spaces=dict(ScanNet='ScanNet200')))
custom_hooks = _base_.custom_hooks[:-1]  # without the head's weights
