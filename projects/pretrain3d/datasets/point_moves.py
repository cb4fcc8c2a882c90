"""What has moved the points of a sample, so that its cameras can follow.

mmdet3d's ``GlobalRotScaleTrans`` and ``RandomFlip3D`` write letters into ``transformation_3d_flow`` and what they drew
into ``pcd_*``. Transforms of this package write their name into the same list and, under their place in it, the matrix
into ``point_moves``; ``UpdateCameras`` reads both. mmdet3d's ``RandomJitterPoints`` and ``ObjectNoise`` leave no
record.
"""
from typing import List, Optional

import numpy as np

from .point_index import sample_name

FLOW_KEY = 'transformation_3d_flow'
# Place in the flow -> matrix, or None where each point moved by itself.
MATRICES_KEY = 'point_moves'
# Written by UpdateCameras: how many steps of the flow are in the cameras' matrices.
FOLLOWED_KEY = 'cameras_follow'


def record_move(results: dict, transform: str, matrix: Optional[np.ndarray] = None) -> None:
    """Note that a transform moves all points; a sample without cameras stays as it is.

    Args:
        results (dict): The sample; its cameras are those in ``images``.
        transform (str): Name of the transform.
        matrix (np.ndarray, optional): A (3, 3) or (4, 4) with p' = A p, of a rotation, reflection or shift. Defaults
            to None: none describes the move. Pairs of points and pixels outlive it, for they are followed by index;
            nothing may be projected afterwards.

    Raises:
        ValueError: ``UpdateCameras`` ran before, and what this moves would be out of step with the cameras.
    """
    if not results.get('images'):
        return
    if FOLLOWED_KEY in results and (matrix is not None or 'recorded_pixels' not in results):
        raise ValueError(f'{sample_name(results)}: {transform} moves the points behind UpdateCameras, which leaves the '
                         'cameras behind: put it before UpdateCameras')
    flow = results.get(FLOW_KEY, [])
    results[MATRICES_KEY] = {**results.get(MATRICES_KEY, {}), len(flow): matrix}
    results[FLOW_KEY] = [*flow, transform]


def unfollowed(results: dict, bent: bool = True) -> List[str]:
    """Steps of the flow that have moved the points and not the cameras.

    Args:
        results (dict): The sample.
        bent (bool): Whether to name the moves that no matrix describes. Defaults to True.
    """
    matrices, done = results.get(MATRICES_KEY, {}), results.get(FOLLOWED_KEY, 0)
    named = []
    for place, step in enumerate(results.get(FLOW_KEY, [])):
        if place in matrices and matrices[place] is None:
            behind = bent
        else:
            behind = place >= done
        if behind:
            named.append(step)
    return named
