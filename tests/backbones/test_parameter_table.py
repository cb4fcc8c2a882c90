"""The table of parameters in configs/point_prompt_training/README.md, computed."""
import copy
import re
from pathlib import Path

import pytest
import torch

import pretrain3d  # noqa: F401
from mmdet3d.registry import MODELS
from pretrain3d.backbones.prompts import PDNorm, convert

README = Path(__file__).parents[2] / 'configs' / 'point_prompt_training' / 'README.md'
SPACES = dict(ScanNet='ScanNet20', S3DIS='S3DIS13', Structured3D='Structured3D25')
LARGE = dict(base_channels=96, encoder_channels=(96, 192, 384, 768), encoder_blocks=(6, 6, 12, 6),
             decoder_channels=(768, 384, 192, 192))


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope='module')
def counts():
    """Row of the table -> parameters."""
    head = MODELS.build(dict(type='LanguageGuidedHead', in_channels=96, label_spaces=SPACES,
                             text_bank='hashed-ngrams'))
    with torch.device('meta'):
        plain = MODELS.build(dict(type='SpUNet', in_channels=6))
        large = MODELS.build(dict(type='SpUNet', in_channels=6, **LARGE))
        every = convert(copy.deepcopy(plain), tuple(SPACES))
        decoder = convert(copy.deepcopy(plain), tuple(SPACES), scope='decoder')
        each = convert(copy.deepcopy(plain), tuple(SPACES), shared_prompt=False)
        outdoor = MODELS.build(dict(type='SpUNet', in_channels=4))
    norms = [module.channels for module in every.modules() if isinstance(module, PDNorm)]
    # The released norms keep gamma and beta of each domain beside the modulation, which has none of the own.
    released = count(plain) - 2 * sum(norms) + (3 * 2 + 2 * 257) * sum(norms) + 3 * 256 + count(head)
    text = count(head)
    return {
        'SpUNet without an output layer': count(plain),
        'projection to the text': text,
        'prompts in every norm': count(every) + text,
        'prompts in the decoder alone': count(decoder) + text,
        'a prompt for each block': count(each) + text,
        'released indoor settings': released,
        'released outdoor settings (no modulation)': count(outdoor) + 2 * 2 * sum(norms) + 3 * 256 + text,
        'SpUNet-L without an output layer': count(large),
        'channels of the norms': sum(norms), 'norms': len(norms)}


def test_every_number_of_the_table(counts):
    table = dict(re.findall(r'^\| ([^|]+?) \| ([\d,]+) \|', README.read_text(), re.MULTILINE))
    assert {row: int(number.replace(',', '')) for row, number in table.items() if row in counts} == counts


def test_what_the_paper_prints(counts):
    """41.0 M is the row of the decoder alone and no other."""
    assert counts['norms'] == 59 and counts['channels of the norms'] == 8576
    rounded = {row: f'{number / 1e6:.1f}' for row, number in counts.items()}
    assert [row for row, number in rounded.items() if number == '41.0'] == ['prompts in the decoder alone']
    assert rounded['prompts in every norm'] == '43.6' == rounded['released indoor settings']
    assert rounded['released outdoor settings (no modulation)'] == '39.2'
