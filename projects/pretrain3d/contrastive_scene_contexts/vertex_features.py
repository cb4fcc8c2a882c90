"""Features of an encoder at every vertex of a converted ScanNet scan, as active labelling clusters them."""
from pathlib import Path
from typing import List

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from torch import nn

from mmdet3d.registry import MODELS
from pretrain3d.datasets.sparse_batch import gather_points

LOADERS = ('LoadPointsChecked', 'LoadPointsFromFile')
# Steps of a recipe that change what the network sees without chance and without dropping points.
KEPT = ('NamePointColumns', 'NormalizePointsColor', 'CenterShift', 'CenterOnMean')


def recipe_steps(cfg: Config) -> List[dict]:
    """The steps of a recipe that a whole scan goes through: those of its test, else of the first view of its training.

    A recipe that loads frames gets the scan's coordinates and colours in their place.
    """
    loader = cfg.get('test_dataloader') or cfg.train_dataloader
    steps = []
    for step in loader.dataset.pipeline:
        steps.append(step)
        if step['type'] == 'MakeViews':
            steps += next(iter(step['views'].values()))
    found = [dict(step) for step in steps if step['type'] in LOADERS][:1] or [
        dict(type='LoadPointsChecked', coord_type='DEPTH', load_dim=6, use_dim=6),
        dict(type='NamePointColumns', color=[3, 4, 5])]
    return found + [dict(step) for step in steps if step['type'] in KEPT] + [
        dict(type='PackPretrain3DInputs', keys=['points'])]


class VertexFeatures:
    """Runs a recipe's encoder on scans, in evaluation mode, without augmentation, one scan at a time.

    Args:
        cfg: a recipe of ``VoxelSegmentor``, ``PretextModel`` or ``ContrastiveSceneContexts``. The weights are random;
            load some into ``model``, at the child ``encoder_name``.
        data: folder of the converted scans. device: where to run.

    Raises:
        ValueError: The recipe is of another kind of model.
    """

    def __init__(self, cfg: Config, data: Path, device: str = 'cpu') -> None:
        init_default_scope(cfg.get('default_scope', 'mmdet3d'))
        self.model: nn.Module = MODELS.build(cfg.model).to(device).eval()
        self.encoder_name = getattr(self.model, 'encoder_name', 'backbone')
        if getattr(self.model.data_preprocessor, 'voxel_size', None) is None or not hasattr(
                self.model, self.encoder_name):
            raise ValueError(f'{cfg.filename}: its model, {cfg.model.type}, has no sparse encoder; take a recipe of '
                             'VoxelSegmentor or ContrastiveSceneContexts with voxel_size in its data_preprocessor')
        self.steps = recipe_steps(cfg)
        self._pipeline = Compose(self.steps)
        # 9 columns are with normals, see tools/data/scannet.py.
        self.folder = data / ('points_normals' if self.steps[0].get('load_dim') == 9 else 'points')

    @torch.no_grad()
    def __call__(self, file: str) -> np.ndarray:
        """Features (V, C) float32 of the vertices of ``<scan>.bin``, as the encoder gives them, not normalised.

        Raises:
            FileNotFoundError, ValueError: The points are missing or damaged, or some are outside the network's range.
        """
        path = str(self.folder / file)
        sample = self._pipeline(dict(lidar_points=dict(lidar_path=path), lidar_path=path))
        sparse = self.model.data_preprocessor(pseudo_collate([sample]), False)['inputs']['voxels']
        outside = int((sparse['point2voxel'][0] < 0).sum())
        if outside:
            raise ValueError(f'{path}: {outside} vertices are outside point_cloud_range of the data_preprocessor, so '
                             'the network does not see them: set it to None in the config')
        features = getattr(self.model, self.encoder_name)(sparse)
        return gather_points(features, sparse)[0].float().cpu().numpy()
