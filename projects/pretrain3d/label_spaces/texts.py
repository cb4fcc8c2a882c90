"""What is said of a class to a text encoder: its name, or words that tell it from its namesakes."""
from __future__ import annotations

from typing import Dict, List

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


def all_texts() -> List[str]:
    """The words of every class of every label space, each once, in alphabetical order."""
    from . import LABEL_SPACES
    return sorted({class_text(space.name, name) for space in LABEL_SPACES.values() for name in space.classes})
