"""Features as colours: their three main directions become red, green and blue."""
from typing import List, Sequence

import numpy as np

CLIPPED = 2.0  # per cent at either end that saturate


def principal_colours(features: Sequence[np.ndarray], sample: int = 20000) -> List[np.ndarray]:
    """Colours (V, 3) in 0 ... 255 of the points of several clouds; like colours mean like features in all of them.

    Features are brought to unit length first, since it is their direction that is contrasted.

    Args:
        features: (V, C) of each cloud. sample: points that the directions are found from, evenly spread.
    """
    unit = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
            for rows in (rows.astype(np.float64) for rows in features)]
    every = np.concatenate(unit)
    some = every[::max(1, len(every) // sample)]
    middle = some.mean(0)
    axes = np.linalg.svd(some - middle, full_matrices=False)[2][:3]
    # A direction's sign is arbitrary: the larger tail is bright, whatever the library returns.
    tails = (some - middle) @ axes.T
    axes = axes * np.where((tails ** 3).sum(0) < 0, -1, 1)[:, None]
    low, high = np.percentile((some - middle) @ axes.T, [CLIPPED, 100 - CLIPPED], axis=0)
    colours = []
    for rows in unit:
        share = np.clip(((rows - middle) @ axes.T - low) / np.maximum(high - low, 1e-9), 0, 1)
        colours.append(np.pad(30 + 215 * share, ((0, 0), (0, 3 - share.shape[1])), constant_values=128))
    return colours
