"""``MinkUNetBackbone`` with its default arguments, twice, and with lists that stay the caller's."""
from mmdet3d.models.backbones import MinkUNetBackbone

import pretrain3d  # noqa: F401  mends the backbone


def test_defaults_can_be_built_twice():
    shapes = [[value.shape for value in MinkUNetBackbone(sparseconv_backend='spconv').parameters()] for _ in range(2)]
    assert shapes[0] == shapes[1] and len(shapes[0]) > 50


def test_a_callers_lists_stay_as_they_are():
    lists = dict(encoder_channels=[4, 8, 8, 8], decoder_channels=[8, 8, 4, 4], encoder_blocks=[1] * 4,
                 decoder_blocks=[1] * 4)
    MinkUNetBackbone(4, base_channels=4, sparseconv_backend='spconv', **lists)
    assert lists == dict(encoder_channels=[4, 8, 8, 8], decoder_channels=[8, 8, 4, 4], encoder_blocks=[1] * 4,
                         decoder_blocks=[1] * 4)
