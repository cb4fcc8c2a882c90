"""The boxes of one scene: which instances are annotated at which keyframe, and their chains through time."""
from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Sequence

import numpy as np

from .nuscenes_boxes import View, count_points, visible_share, yaw_matrices
from .nuscenes_taxonomy import LIDAR, attribute_token, category_token, visibility_token

if TYPE_CHECKING:
    from .nuscenes_scene import Recorder

# Metres from the ego within which nuScenes' annotators looked.
REACH = 80.0


def annotate(scene: Recorder, clouds: Sequence[np.ndarray], views: Sequence[Sequence[View]]) -> Dict[str, List[dict]]:
    """Tables ``instance`` and ``sample_annotation`` of a scene.

    An instance is annotated at a keyframe if its centre is within :data:`REACH` of the ego and at least one LiDAR
    point lies in its box. Centres and sizes are rounded to millimetres, as released, before points are counted.

    Args:
        scene: its street and its tokens.
        clouds: per keyframe, (N, 3) points in the LiDAR's frame.
        views: per keyframe, the cameras.
    """
    chains: Dict[int, List[dict]] = {}
    for keyframe, (cloud, cameras) in enumerate(zip(clouds, views)):
        for row, record in _boxes(scene, keyframe, cloud, cameras):
            chains.setdefault(row, []).append(record)
    tables: Dict[str, List[dict]] = dict(instance=[], sample_annotation=[])
    for row in sorted(chains):
        chain = chains[row]
        for before, after in zip([None, *chain], [*chain, None]):
            if before is not None:
                before['next'] = after['token'] if after else ''
            if after is not None:
                after['prev'] = before['token'] if before else ''
        tables['instance'].append(dict(
            token=scene.token('instance', row), category_token=category_token(scene.street.instances[row].category),
            nbr_annotations=len(chain), first_annotation_token=chain[0]['token'],
            last_annotation_token=chain[-1]['token']))
        tables['sample_annotation'] += chain
    return tables


def _boxes(scene: Recorder, keyframe: int, cloud: np.ndarray, cameras: Sequence[View]):
    """(row of the instance, record) of every box of a keyframe."""
    street = scene.street
    time = scene.seconds(scene.stamp(street.times[keyframe]))
    ego = street.ego_pose(time)
    near = []
    for row, instance in enumerate(street.instances):
        centre, yaw = instance.pose(time)
        if np.linalg.norm(np.asarray(centre)[:2] - ego[:2, 3]) <= REACH:
            near.append((row, np.round(centre, 3), np.round(instance.size, 3), float(yaw)))
    if not near:
        return
    rows, centre, size, yaw = (np.array(column) for column in zip(*near))
    lidar = ego @ scene.rig[LIDAR].pose
    turn = lidar[:3, :3].T @ yaw_matrices(yaw)
    counts = count_points(cloud, (centre - lidar[:3, 3]) @ lidar[:3, :3], size, turn)
    for index in np.flatnonzero(counts):
        row = int(rows[index])
        attribute = street.instances[row].attribute(time)
        share = visible_share(centre[index], size[index], yaw[index], cameras)
        yield row, dict(
            token=scene.token('annotation', row, keyframe), sample_token=scene.samples[keyframe],
            instance_token=scene.token('instance', row), visibility_token=visibility_token(share),
            attribute_tokens=[attribute_token(attribute)] if attribute else [],
            translation=[float(value) for value in centre[index]], size=[float(value) for value in size[index]],
            rotation=[float(np.cos(yaw[index] / 2)), 0.0, 0.0, float(np.sin(yaw[index] / 2))],
            num_lidar_pts=int(counts[index]), num_radar_pts=0)
