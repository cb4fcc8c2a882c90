"""Label spaces of rooms: ScanNet (20 classes), S3DIS (13), Structured3D (25), the last two of them by NYU40 ids."""
from __future__ import annotations

from typing import Tuple

from .space import LabelSpace

# NYU40, id 1 ... 40 (0 is unlabelled), with the colours of ScanNet's tools. ScanNet's ``nyu40id`` column and
# Structured3D's semantic images hold these ids.
NYU40: Tuple[Tuple[str, Tuple[int, int, int]], ...] = (
    ('wall', (174, 199, 232)), ('floor', (152, 223, 138)), ('cabinet', (31, 119, 180)), ('bed', (255, 187, 120)),
    ('chair', (188, 189, 34)), ('sofa', (140, 86, 75)), ('table', (255, 152, 150)), ('door', (214, 39, 40)),
    ('window', (197, 176, 213)), ('bookshelf', (148, 103, 189)), ('picture', (196, 156, 148)),
    ('counter', (23, 190, 207)), ('blinds', (178, 76, 76)), ('desk', (247, 182, 210)), ('shelves', (66, 188, 102)),
    ('curtain', (219, 219, 141)), ('dresser', (140, 57, 197)), ('pillow', (202, 185, 52)), ('mirror', (51, 176, 203)),
    ('floor mat', (200, 54, 131)), ('clothes', (92, 193, 61)), ('ceiling', (78, 71, 183)), ('books', (172, 114, 82)),
    ('refrigerator', (255, 127, 14)), ('television', (91, 163, 138)), ('paper', (153, 98, 156)),
    ('towel', (140, 153, 101)), ('shower curtain', (158, 218, 229)), ('box', (100, 125, 154)),
    ('whiteboard', (178, 127, 135)), ('person', (120, 185, 128)), ('nightstand', (146, 111, 194)),
    ('toilet', (44, 160, 44)), ('sink', (112, 128, 144)), ('lamp', (96, 207, 209)), ('bathtub', (227, 119, 194)),
    ('bag', (213, 92, 176)), ('otherstructure', (94, 106, 211)), ('otherfurniture', (82, 84, 163)),
    ('otherprop', (100, 85, 144)))

# ScanNet's own tools write 'refridgerator'.
_NYU40_SPELLINGS = (('refridgerator', 'refrigerator'),)


def _of_nyu40(name: str, ids: Tuple[int, ...], mmdet3d_classes=None) -> LabelSpace:
    """The label space whose classes are the NYU40 classes ``ids``, in that order."""
    names, colours = zip(*(NYU40[raw - 1] for raw in ids))
    return LabelSpace(name, names, colours, tuple((raw, index) for index, raw in enumerate(ids)), _NYU40_SPELLINGS,
                      mmdet3d_classes)


SCANNET20 = _of_nyu40(
    'ScanNet20', (*range(1, 13), 14, 16, 24, 28, 33, 34, 36, 39),
    mmdet3d_classes=('wall', 'floor', 'cabinet', 'bed', 'chair', 'sofa', 'table', 'door', 'window', 'bookshelf',
                     'picture', 'counter', 'desk', 'curtain', 'refrigerator', 'showercurtrain', 'toilet', 'sink',
                     'bathtub', 'otherfurniture'))

STRUCTURED3D25 = _of_nyu40('Structured3D25', (*range(1, 10), 11, *range(14, 20), 22, 24, 25, 32, 34, 35, 38, 39, 40))

# The raw id of a point is its class already: S3DIS names its classes in file names, and the exporters number them.
S3DIS13 = LabelSpace(
    'S3DIS13',
    ('ceiling', 'floor', 'wall', 'beam', 'column', 'window', 'door', 'table', 'chair', 'sofa', 'bookcase', 'board',
     'clutter'),
    ((0, 255, 0), (0, 0, 255), (0, 255, 255), (255, 255, 0), (255, 0, 255), (100, 100, 255), (200, 200, 100),
     (170, 120, 200), (255, 0, 0), (200, 100, 100), (10, 200, 100), (200, 200, 200), (50, 50, 50)),
    tuple((index, index) for index in range(13)),
    # Some rooms have files of stairs, which every protocol counts as clutter.
    (('stairs', 'clutter'),))
