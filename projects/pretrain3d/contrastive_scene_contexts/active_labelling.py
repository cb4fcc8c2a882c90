"""Which vertices of a scan a person should label first: centroids of k-means on what an encoder saw.

The paper's active labelling clusters the vertices of a scan in the joint space of encoder features and position, K
clusters for K labels, and labels the vertex next to each centroid, so that labels spread over everything that looks
different or stands elsewhere. Baselines: random vertices, and the same k-means on position and colour.
"""
import warnings
from typing import Dict, Mapping, Optional, Sequence, Tuple

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

# Blocks that are joined, by the name of the set. The paper joins features and position, its released code colour too.
FEATURE_SETS: Dict[str, Tuple[str, ...]] = {
    'features_xyz': ('features', 'xyz'), 'features': ('features', ), 'features_xyz_rgb': ('features', 'xyz', 'rgb'),
    'xyz_rgb': ('xyz', 'rgb'), 'xyz': ('xyz', )}
SCALES = ('none', 'zscore')
INITS = ('k-means++', 'random', 'first-k')
_BLOCK = 16  # centroids that are compared with all vertices at a time


def joint_space(blocks: Mapping[str, np.ndarray], feature_set: str, scale: str = 'none') -> np.ndarray:
    """Coordinates (V, D) float32 in which vertices are clustered.

    Args:
        blocks: name -> (V, d) values: 'features' as the encoder gave them, 'xyz' in metres, 'rgb' of 0 ... 255.
        feature_set: a name of :data:`FEATURE_SETS`.
        scale: 'none': as they are, so that the block with the largest numbers decides; 'zscore': every block is
            centred and divided by the root of its total variance, so that blocks weigh the same and distances inside a
            block keep their proportions. A constant block becomes 0.

    Raises:
        ValueError: An unknown name, a block of another length, or values that are not finite.
    """
    if feature_set not in FEATURE_SETS or scale not in SCALES:
        raise ValueError(f'features {feature_set!r} and scale {scale!r}: they must be among {", ".join(FEATURE_SETS)} '
                         f'and among {", ".join(SCALES)}')
    chosen = {name: np.asarray(blocks[name], np.float64) for name in FEATURE_SETS[feature_set]}
    if len({len(block) for block in chosen.values()}) > 1:
        raise ValueError('blocks differ in length: ' + ', '.join(f'{name} {len(x)}' for name, x in chosen.items()))
    for name, block in chosen.items():
        if not np.isfinite(block).all():
            raise ValueError(f'{name} has values that are not finite at {int((~np.isfinite(block)).any(1).sum())} of '
                             f'{len(block)} vertices')
        if scale == 'zscore' and len(block):
            block = block - block.mean(0)
            spread = np.sqrt(block.var(0).sum())
            chosen[name] = block / spread if spread > 0 else block
    return np.concatenate(list(chosen.values()), 1).astype(np.float32)


def choose_random(vertices: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` vertices (K,) int64 of ``vertices``, all where there are no more; fewer are part of more of one rng."""
    return rng.permutation(vertices)[:count].astype(np.int64)


def choose_by_kmeans(space: np.ndarray, count: int, rng: np.random.Generator, init: str = 'k-means++',
                     n_init: int = 1, iterations: int = 50, fit_vertices: Optional[int] = None) -> np.ndarray:
    """Vertices next to the centroids of ``count`` clusters: (K,) int64, distinct, in the order of the clusters.

    Args:
        space: (V, D) coordinates, see :func:`joint_space`.
        count: labels asked for; with no more vertices than that all are taken.
        rng: its state alone decides: the fit runs on one thread, whose sums have one order.
        init: 'k-means++', 'random' vertices, or the 'first-k' (what the released code does and calls random).
        n_init: fits from different starts, of which the tightest counts (1, as published); 'first-k' has one start.
        iterations: most Lloyd iterations of a fit.
        fit_vertices: fit to so many random vertices where there are more; the chosen ones are looked for among all.
    """
    if init not in INITS:
        raise ValueError(f'init is {init!r}; it must be among {", ".join(INITS)}')
    if count >= len(space):
        return np.arange(len(space), dtype=np.int64)
    fitted = space
    if fit_vertices is not None and max(fit_vertices, count) < len(space):
        fitted = space[np.sort(rng.permutation(len(space))[:max(fit_vertices, count)])]
    means = KMeans(
        count, init=space[:count] if init == 'first-k' else init, n_init=1 if init == 'first-k' else n_init,
        max_iter=iterations, random_state=int(rng.integers(2**31)))
    with threadpool_limits(1), warnings.catch_warnings():
        # Fewer distinct rows than clusters, as all vertices of a voxel have its features: some centroids coincide.
        warnings.simplefilter('ignore', ConvergenceWarning)
        return nearest_vertices(space, means.fit(fitted).cluster_centers_)


def nearest_vertices(space: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Each centroid's nearest vertex (K,) int64; one that is taken already gives way to the next nearest.

    Centroids choose in their order, among equally near vertices the first. Needs 8 V (D + 16) bytes.

    Args:
        space: (V, D), V >= K. centroids: (K, D).
    """
    middle = space.mean(0, dtype=np.float64)
    rows, centres = space - middle, centroids - middle
    squares = np.einsum('vd,vd->v', rows, rows)
    taken = np.zeros(len(rows), bool)
    chosen = np.empty(len(centres), np.int64)
    for start in range(0, len(centres), _BLOCK):
        # Squared distances less |centroid|^2, which is the same for every vertex.
        for place, gaps in enumerate(squares - 2 * centres[start:start + _BLOCK] @ rows.T, start):
            gaps[taken] = np.inf
            chosen[place] = gaps.argmin()
            taken[chosen[place]] = True
    return chosen


def countable_objects(instance: np.ndarray, semantic: Optional[np.ndarray] = None,
                      stuff: Sequence[int] = ()) -> np.ndarray:
    """Instances (M,) that count as objects: ids above 0 but for those most of whose vertices are ``stuff``.

    Args:
        instance: (V,) ids, 0 for none. semantic: (V,) classes, needed with ``stuff``. stuff: classes to leave out.
    """
    objects = np.unique(instance[instance > 0])
    if not len(stuff):
        return objects
    row = np.searchsorted(objects, instance[instance > 0])
    is_stuff = np.isin(semantic[instance > 0], stuff)
    return objects[2 * np.bincount(row, is_stuff, len(objects)) <= np.bincount(row, minlength=len(objects))]


def objects_hit(instance: np.ndarray, vertices: np.ndarray, objects: np.ndarray) -> int:
    """How many of ``objects`` have one of ``vertices``; summed over scans and divided by all objects, Figure 7."""
    return int(np.isin(objects, instance[vertices]).sum())
