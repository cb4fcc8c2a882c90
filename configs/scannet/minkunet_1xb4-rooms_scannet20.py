# mmdet3d's MinkUNet made as narrow as the SpUNet beside it, on drawn rooms.
_base_ = ['./spunet_1xb4-rooms_scannet20.py']
model = dict(
    backbone=dict(
        _delete_=True, type='SparseMinkUNet', in_channels=3, base_channels=16, encoder_channels=[16, 32, 64, 64],
        encoder_blocks=[1, 1, 1, 1], decoder_channels=[64, 32, 32, 24], decoder_blocks=[1, 1, 1, 1]),
    decode_head=dict(lovasz_weight=0.))
