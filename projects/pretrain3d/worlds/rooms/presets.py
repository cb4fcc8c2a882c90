"""Sizes of a world of rooms."""
from dataclasses import dataclass
from typing import Dict

# To be raised whenever the same preset and seed draw other rooms than before.
VERSION = 3


@dataclass(frozen=True)
class Preset:
    """How many scans there are and how finely they were taken.

    Attributes:
        train, val: number of scans of either split.
        spacing: longest mesh edge in metres (ScanNet's meshes: about 0.02).
        frames: RGB-D frames of a scan.
        width, height: pixels of a frame.
    """
    train: int
    val: int
    spacing: float
    frames: int
    width: int
    height: int


PRESETS: Dict[str, Preset] = dict(
    tiny=Preset(train=6, val=5, spacing=0.06, frames=12, width=160, height=120),
    small=Preset(train=60, val=15, spacing=0.05, frames=16, width=160, height=120),
    medium=Preset(train=240, val=60, spacing=0.03, frames=40, width=320, height=240))
