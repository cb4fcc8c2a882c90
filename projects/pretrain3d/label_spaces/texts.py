"""What is said of a class to a text encoder: its name, or words that tell it from its namesakes."""
from __future__ import annotations

from typing import Dict, List, Tuple

from .space import fold

# Class -> words, where the name alone says too little (Point Prompt Training, outdoor data sets).
_WORDS: Dict[str, Dict[str, str]] = {
    'SemanticKITTI19': {
        'bicyclist': 'person who rides a bicycle', 'motorcyclist': 'person who rides a motorcycle',
        'sidewalk': 'path for pedestrians at the side of a road'},
    'nuScenes16': {'driveable_surface': 'path suitable or safe for driving', 'manmade': 'man made'},
    'Waymo22': {
        'motorcyclist': 'person who rides a motorcycle', 'bicyclist': 'person who rides a bicycle',
        'walkable': 'horizontal surface that can not drive',
        'sidewalk': 'surface when pedestrians most likely to walk on'},
}

# The words of Point Prompt Training's indoor models, in the order of the rows of their checkpoints.
RELEASED_INDOOR: Tuple[str, ...] = (
    'wall', 'floor', 'cabinet', 'bed', 'chair', 'sofa', 'table', 'door', 'window', 'bookshelf', 'bookcase', 'picture',
    'counter', 'desk', 'shelves', 'curtain', 'dresser', 'pillow', 'mirror', 'ceiling', 'refrigerator', 'television',
    'shower curtain', 'nightstand', 'toilet', 'sink', 'lamp', 'bathtub', 'garbagebin', 'board', 'beam', 'column',
    'clutter', 'otherstructure', 'otherfurniture', 'otherprop')
# Label spaces that Pointcept trained against the rows of their words in the order of the rows, not of the labels.
LEGACY_SPACES = ('S3DIS13',)


def class_text(space: str, name: str) -> str:
    """Words for the class ``name`` of the label space ``space``.

    The class may have any spelling that the label space knows.

    Raises:
        UnknownNameError: no such label space or class; the nearest one is named.
    """
    from . import get_label_space
    known = get_label_space(space)
    name = known.classes[known.index(name)]
    return _WORDS.get(space, {}).get(name, name.replace('_', ' ').replace('-', ' '))


def legacy_class_text(space: str, name: str) -> str:
    """Words against which Pointcept's released models were trained for a class, by mistake: those of another class.

    Its rows for S3DIS are sorted by word while the labels are not: label 0 (ceiling) learnt 'wall', and so on; of 13
    only floor and clutter learnt their own.

    Raises:
        ValueError: a label space in which labels and words agree; no switch is needed.
    """
    from . import get_label_space
    if space not in LEGACY_SPACES:
        raise ValueError(f'{space} has no legacy order: its released labels and words agree, so leave its domain out '
                         f'of legacy_order. Label spaces that have one: {", ".join(LEGACY_SPACES)}')
    known = get_label_space(space)
    rows = [fold(text) for text in RELEASED_INDOOR]
    released = sorted(known.classes, key=lambda each: rows.index(fold(each)))
    return class_text(space, released[known.index(name)])


def released_rows() -> Dict[str, List[str]]:
    """Words of the rows of ``class_embedding`` in Pointcept's checkpoints: 'indoor' (36) and 'outdoor' (57, in which
    words occur once for every data set that has them)."""
    from . import get_label_space
    outdoor = [class_text(space, name) for space in ('SemanticKITTI19', 'nuScenes16', 'Waymo22')
               for name in get_label_space(space).classes]
    return dict(indoor=list(RELEASED_INDOOR), outdoor=outdoor)


def all_texts() -> List[str]:
    """The words of every class of every label space, each once, in alphabetical order."""
    from . import LABEL_SPACES
    return sorted({class_text(space.name, name) for space in LABEL_SPACES.values() for name in space.classes})
