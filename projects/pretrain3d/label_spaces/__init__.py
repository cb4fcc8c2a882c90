"""Label spaces by name: which classes a dataset has, in which order, in which colours, from which raw ids.

``get_label_space('ScanNet20').index('chair')`` is how an index is written in this package; none is typed by hand.
"""
from __future__ import annotations

from typing import Dict

from .indoor import NYU40, S3DIS13, SCANNET20, STRUCTURED3D25
from .outdoor import NUSCENES16, NUSCENES_DET10, NUSCENES_LIDARSEG, SEMANTICKITTI19, SEMANTICKITTI_RAW, WAYMO22
from .scannet200 import SCANNET200
from .space import LabelSpace, UnknownNameError, unknown
from .text_bank import TextBank, open_text_bank, stand_in_bank
from .texts import class_text, legacy_class_text

LABEL_SPACES: Dict[str, LabelSpace] = {
    space.name: space for space in (SCANNET20, SCANNET200, S3DIS13, STRUCTURED3D25, NUSCENES16, NUSCENES_DET10,
                                    SEMANTICKITTI19, WAYMO22)}


def get_label_space(name: str) -> LabelSpace:
    """The label space of that name.

    Raises:
        UnknownNameError: (a KeyError and a ValueError) there is none; the nearest one is named.
    """
    try:
        return LABEL_SPACES[name]
    except (KeyError, TypeError):
        raise unknown('label space', name, LABEL_SPACES, ', '.join(LABEL_SPACES)) from None


__all__ = [
    'LABEL_SPACES', 'NUSCENES_LIDARSEG', 'NYU40', 'SEMANTICKITTI_RAW', 'LabelSpace', 'TextBank', 'UnknownNameError',
    'class_text', 'get_label_space', 'legacy_class_text', 'open_text_bank', 'stand_in_bank'
]
