"""Mix3D (Nekrasov et al., 2021): two scenes of a batch, laid over each other, are one sample."""
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from mmdet3d.structures import PointData

# Sets this chance apart from the others of the same sample.
_STREAM = 0x313D


def mix_scenes(inputs: Dict[str, Any], data_samples: List[Any], prob: float,
               step: Optional[Sequence[float]] = None, centre: bool = True) -> Tuple[Dict[str, Any], List[Any]]:
    """With probability ``prob`` lay the scenes of a batch over each other, two and two.

    Partners are neighbours among the samples of one domain; the last of an odd number stays alone. The second scene is
    shifted so that the middles of both footprints and both floors coincide; the released code of Point Prompt Training
    leaves both at the corner of their grid. Mixed before voxelisation, points of both scenes in one voxel are one
    voxel; there, it is two.

    The chance is that of the first sample (``voxel_seed`` of ``PackPretrain3DInputs``): a batch comes out the same
    whenever it is drawn, on every device. Who are neighbours depends on how a batch is dealt to ranks.

    Args:
        inputs (dict): ``points``, list of (n_i, C), x, y, z in metres first.
        data_samples (list): Of these; ``metainfo['domain']`` where there are several.
        prob (float): Of a whole batch.
        step (sequence[float], optional): Voxel edges (3,); scenes are shifted by whole voxels, so that points sampled
            on a grid stay on it. Defaults to None: exactly to the middle.
        centre (bool): Whether to shift. Defaults to True.

    Returns:
        tuple: Inputs and data samples, as many as there are mixed scenes. Those that were given are left as they were.

    Raises:
        ValueError: The batch holds more than points and their classes.
    """
    if not chance(data_samples) < prob:
        return inputs, data_samples
    more = sorted(set(inputs) - {'points'})
    if more:
        raise ValueError(f'Mix3D mixes points and their classes, but the inputs also hold {more}: take these out of '
                         'the pipeline, or set mix3d_prob=0 of the Pretrain3DDataPreprocessor')
    clouds, samples = [], []
    for first, second in partners(data_samples):
        if second is None:
            clouds.append(inputs['points'][first])
            samples.append(data_samples[first])
            continue
        pair = [inputs['points'][first], inputs['points'][second]]
        if centre and len(pair[0]) and len(pair[1]):
            pair[1] = _moved(pair[1], pair[0], step)
        clouds.append(torch.cat(pair))
        samples.append(_joined(data_samples[first], data_samples[second]))
    return dict(inputs, points=clouds), samples


def chance(data_samples: Sequence[Any]) -> float:
    """A number in [0, 1) that the first sample of a batch has drawn; without its seed, one of torch's."""
    seed = data_samples[0].metainfo.get('voxel_seed')
    if seed is None:
        return float(torch.rand(()))
    return int(np.random.SeedSequence((seed, _STREAM)).generate_state(1)[0]) / 2.0 ** 32


def partners(data_samples: Sequence[Any]) -> List[Tuple[int, Optional[int]]]:
    """Places of the samples that are laid over each other, in the order of the first of each pair."""
    waiting: Dict[Any, int] = {}
    pairs: Dict[int, Optional[int]] = {}
    for place, sample in enumerate(data_samples):
        domain = sample.metainfo.get('domain')
        if domain in waiting:
            pairs[waiting.pop(domain)] = place
        else:
            waiting[domain] = place
            pairs[place] = None
    return list(pairs.items())


def _moved(cloud: Tensor, onto: Tensor, step: Optional[Sequence[float]]) -> Tensor:
    """``cloud`` shifted onto another: middles of the footprints and floors."""
    shift = _anchor(onto) - _anchor(cloud)
    if step is not None:
        edges = shift.new_tensor(step)
        shift = (shift / edges).round() * edges
    moved = cloud.clone()
    moved[:, :3] += shift
    return moved


def _anchor(cloud: Tensor) -> Tensor:
    """Middle of the bounding box in x and y, its bottom in z (3,)."""
    low, high = cloud[:, :3].amin(0), cloud[:, :3].amax(0)
    return torch.cat([(low[:2] + high[:2]) / 2, low[2:]])


def _joined(first: Any, second: Any) -> Any:
    """Data sample of two scenes: meta information of the first, labels of both."""
    for sample in (first, second):
        name = sample.metainfo.get('lidar_path', 'a sample')
        if len(sample.get('gt_instances_3d', ())):
            raise ValueError(f'{name}: Mix3D does not mix boxes; leave them out of the keys that are packed')
        more = sorted(set(sample.get('gt_pts_seg', PointData()).keys()) - {'pts_semantic_mask'})
        if more:
            raise ValueError(f'{name}: Mix3D does not mix {more}; leave them out of the keys that are packed')
    joined = first.new()
    joined.set_metainfo(dict(mixed_with=second.metainfo.get('lidar_path')))
    if 'pts_semantic_mask' in first.get('gt_pts_seg', ()):
        joined.gt_pts_seg = PointData(pts_semantic_mask=torch.cat(
            [sample.gt_pts_seg.pts_semantic_mask for sample in (first, second)]))
    return joined
