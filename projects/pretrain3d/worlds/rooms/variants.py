"""The real data sets whose look and whose on-disk layout rooms can be drawn in: one row each."""
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping

import numpy as np

# Each name's row is ``VARIANT`` of the module ``<name>_layout`` beside this one.
NAMES = ('scannet', 's3dis', 'structured3d')


@dataclass(frozen=True)
class Variant:
    """How one data set looks at rooms (its style) and lies on disk (its writer).

    The unit of work is a folder: it is drawn beside its place and renamed there when whole.

    Attributes:
        mark: what ``world.txt`` of such a world begins with.
        version: to be raised whenever the same preset and seed draw other files than before.
        presets: sizes by name; 'tiny', 'small' and 'medium' at least.
        folders: ``folders(preset)``: every unit's path below the world's root, in the order of their indices.
        draw: ``draw(rng, folder, index, preset)`` draws unit ``index`` into the existing, empty ``folder``, whose
            name is not the final one.
        finish: ``finish(root, preset)`` writes what the whole world shares (lists, tables), each file atomically.
    """
    mark: str
    version: int
    presets: Mapping[str, Any]
    folders: Callable[[Any], list]
    draw: Callable[[np.random.Generator, Path, int, Any], None]
    finish: Callable[[Path, Any], None]

    def stamp(self, preset: str, seed: int) -> str:
        """The line by which a folder says which world it holds."""
        return f'{self.mark} preset={preset} seed={seed} version={self.version}\n'


def get_variant(name: str) -> Variant:
    """The row called ``name``, one of :data:`NAMES`."""
    if name not in NAMES:
        raise ValueError(f'unknown data set {name!r}; rooms are drawn as one of {NAMES}')
    return importlib.import_module(f'.{name}_layout', __package__).VARIANT
