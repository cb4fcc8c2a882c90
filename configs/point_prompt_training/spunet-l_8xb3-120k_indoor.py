# Point Prompt Training with SpUNet-L (412.6 M before the prompts).
_base_ = ['spunet_8xb3-120k_indoor.py']
model = dict(
    backbone=dict(
        backbone=dict(
            base_channels=96, encoder_channels=(96, 192, 384, 768), encoder_blocks=(6, 6, 12, 6),
            decoder_channels=(768, 384, 192, 192), decoder_blocks=(2, 2, 2, 2))),
    decode_head=dict(in_channels=192))
