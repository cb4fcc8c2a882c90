"""Draws a whole world of rooms, folder by folder, in parallel and resumably."""
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np

from ...files import partial_path, remove_leftovers, write_atomic
from ...workers import end_with
from .variants import Variant, get_variant


def draw_scan(root: Path, index: int, preset: Any, seed: int, variant: str = 'scannet') -> Path:
    """Draw the folder number ``index`` of a world into ``root``; one that is already whole is left alone.

    It is written beside its place and renamed there, so that an interrupted run never leaves half a folder.
    """
    row = get_variant(variant)
    final = root / row.folders(preset)[index]
    if final.is_dir():
        return final
    partial = partial_path(final)
    partial.mkdir(parents=True)
    try:
        row.draw(np.random.default_rng([seed, index]), partial, index, preset)
        partial.rename(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return final


def build(root: Path, preset_name: str, seed: int, jobs: int = 1,
          progress: Optional[Callable[[int, int], None]] = None, variant: str = 'scannet') -> None:
    """Draw the world ``preset_name`` into ``root``; the same variant, preset and seed give the same bytes.

    Args:
        root: target folder; what it already holds of this world is kept.
        preset_name: size of the world, one of the variant's presets.
        seed: of everything that is drawn.
        jobs: processes.
        progress: called with (folders done, folders in all).
        variant: the data set whose look and layout are drawn, one of :data:`~.variants.NAMES`.
    """
    row = get_variant(variant)
    if preset_name not in row.presets:
        raise ValueError(f'unknown preset {preset_name!r}; choose one of {sorted(row.presets)}')
    preset = row.presets[preset_name]
    root.mkdir(parents=True, exist_ok=True)
    _check_same_world(root, row, preset_name, seed)
    folders = row.folders(preset)
    remove_leftovers(root, root / 'meta_data', *sorted({(root / folder).parent for folder in folders}))
    arguments = [(root, index, preset, seed, variant) for index in range(len(folders))]
    if jobs <= 1:
        for done, argument in enumerate(arguments, 1):
            draw_scan(*argument)
            if progress:
                progress(done, len(folders))
    else:
        with ProcessPoolExecutor(jobs, initializer=end_with, initargs=(os.getpid(), )) as pool:
            for done, _ in enumerate(pool.map(draw_scan, *zip(*arguments)), 1):
                if progress:
                    progress(done, len(folders))
    row.finish(root, preset)


def _check_same_world(root: Path, row: Variant, preset_name: str, seed: int) -> None:
    """A folder holds one world: refuse to mix data sets, presets, seeds or ways to draw."""
    stamp, mark = root / 'world.txt', row.stamp(preset_name, seed)
    if stamp.exists() and stamp.read_text() != mark:
        raise ValueError(f'{root} already holds {stamp.read_text().strip()!r} and not {mark.strip()!r}; give another '
                         'folder or remove it')
    if not stamp.exists():
        write_atomic(stamp, mark.encode())
