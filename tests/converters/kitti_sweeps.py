"""A hand-made SemanticKITTI on disk: a few small sweeps of three sequences."""
from pathlib import Path

import numpy as np

SWEEPS = {'00': 4, '08': 2, '11': 1}
# Raw ids that occur: car, its moving kin, road, outlier, other structure (without a class), a traffic sign.
RAW = (10, 252, 40, 1, 52, 81)
CLASSES = (0, 0, 8, 19, 19, 18)


def write_kitti(root: Path) -> Path:
    """Write it into ``root``; returns it."""
    for name, count in SWEEPS.items():
        folder = root / 'sequences' / name
        for kind in ('velodyne', 'labels') if name != '11' else ('velodyne', ):
            (folder / kind).mkdir(parents=True)
        (folder / 'times.txt').write_text(''.join(f'{i / 10:e}\n' for i in range(count)))
        for i in range(count):
            points, labels = sweep(name, i)
            points.tofile(folder / 'velodyne' / f'{i:06d}.bin')
            if name != '11':
                labels.tofile(folder / 'labels' / f'{i:06d}.label')
    return root


def sweep(name: str, number: int):
    """Points (n, 4) float32 and labels (n,) uint32, instances in the upper 16 bits."""
    rng = np.random.default_rng([int(name), number])
    points = rng.uniform((-40, -40, -3, 0), (40, 40, 3, 1), (300, 4))
    raw = rng.choice(RAW, 300)
    instances = np.where(raw < 40, rng.integers(1, 2**16, 300), 0)
    return points.astype(np.float32), (instances << 16 | raw).astype(np.uint32)
