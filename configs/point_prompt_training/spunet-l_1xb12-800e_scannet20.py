# SpUNet-L on ScanNet alone, which Table 14 of Point Prompt Training compares with the small one.
_base_ = ['../scannet/spunet_1xb12-800e_scannet20.py']
model = dict(
    backbone=dict(
        base_channels=96, encoder_channels=(96, 192, 384, 768), encoder_blocks=(6, 6, 12, 6),
        decoder_channels=(768, 384, 192, 192), decoder_blocks=(2, 2, 2, 2)),
    decode_head=dict(in_channels=192))
