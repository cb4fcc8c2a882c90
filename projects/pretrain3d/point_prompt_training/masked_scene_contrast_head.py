"""The pretext head of Masked Scene Contrast: masks, matches, contrast and reconstruction."""
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from torch import Tensor, nn

from pretrain3d.datasets.sparse_batch import voxel_positions
from pretrain3d.heads.point_info_nce import full_precision
from pretrain3d.heads.retrieval import retrieval
from pretrain3d.pretext import Encoded, PretextHead, global_mean
from pretrain3d.pretext.draws import sample_seeds

from .cross_masks import check_mask, cross_masks
from .scene_mixing import mix_scenes
from .view_matching import match_views

# A target that is shorter is no normal: some points have none.
SHORTEST_NORMAL = 1e-3


@MODELS.register_module()
class MaskedSceneContrastHead(PretextHead):
    """Contrast two views under cross masks and restore what was masked.

    Reads ``inputs['views'][v]['xyz_world']``: where every point of a view lies in the frame that the views share
    (``KeepWorldCoordinates`` behind the scaling, before ``MakeViews``). What a batch draws follows from its samples'
    ``voxel_seed``.

    - Patches of space that the points of both views occupy are masked in one view or the other; the features of a
      masked voxel become a learnt token (:func:`~.cross_masks.cross_masks`).
    - Neighbouring samples of the batch are laid into one another in the first view (:func:`~.scene_mixing.mix_scenes`).
    - A voxel of the first view and one near it in the second are a pair (:func:`~.view_matching.match_views`), whose
      encoder features, made unit vectors, are contrasted one way.
    - Colour: the squared error of a linear layer on masked voxels, summed over r, g, b, mean over the masked voxels of
      both views. Normal: 1 - cos of the angle, the same mean. Targets are the augmented features that were masked.

    Args:
        in_channels: width of the encoder's features.
        voxel_channels: width of the voxel features, that of the token.
        mask_rate: share of a scene's patches that is masked in each view, at most 1/2. Defaults to 0.4.
        patch_size: edge of a patch in metres. Defaults to 0.1.
        mix_prob: probability that two neighbouring samples are mixed. Defaults to 0.8.
        radius: metres within which voxels are the same place. Defaults to 0.03.
        max_neighbours: nearest voxels of which one is drawn. Defaults to 8.
        pairs_per_scene: most pairs of a scene. Defaults to 2048, a quarter of 8192 for 4 scenes on a GPU.
        loss: config of the contrast, called with ``query``, ``key`` (M, C), ``scene`` (M,) and ``num_scenes``.
            Defaults to ``PointInfoNCELoss`` with temperature 0.4, over all ranks.
        contrast_weight: factor of ``loss_contrast``. Defaults to 1.
        color_dims: columns of the voxel features that hold r, g, b in [0, 1]. Defaults to the first three.
        color_weight: factor of ``loss_color``; 0 leaves it out. Defaults to 1.
        normal_dims: columns that hold the normal. Defaults to None.
        normal_weight: factor of ``loss_normal``; 0 leaves it out. Defaults to 0, as in the released recipe.
        kwargs: arguments of ``PretextHead``.
    """

    views = ('view0', 'view1')
    corruption = 'cross masks'

    def __init__(self, in_channels: int, voxel_channels: int, mask_rate: float = 0.4, patch_size: float = 0.1,
                 mix_prob: float = 0.8, radius: float = 0.03, max_neighbours: int = 8, pairs_per_scene: int = 2048,
                 loss: Optional[dict] = None, contrast_weight: float = 1., color_dims: Sequence[int] = (0, 1, 2),
                 color_weight: float = 1., normal_dims: Optional[Sequence[int]] = None, normal_weight: float = 0.,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        check_mask(patch_size, mask_rate)
        if len(self.views) != 2:
            raise ValueError(f'MaskedSceneContrastHead contrasts two views, got views={list(self.views)}')
        if not radius > 0 or min(max_neighbours, pairs_per_scene) < 1 or not 0 <= mix_prob <= 1:
            raise ValueError(f'radius={radius}, max_neighbours={max_neighbours}, pairs_per_scene={pairs_per_scene}, '
                             f'mix_prob={mix_prob}: a positive radius, numbers of at least 1, a probability')
        self.voxel_channels = voxel_channels
        self.mask_rate, self.patch_size, self.mix_prob = mask_rate, patch_size, mix_prob
        self.matching = dict(radius=radius, max_neighbours=max_neighbours, pairs_per_scene=pairs_per_scene)
        self.criterion = MODELS.build(loss or dict(type='PointInfoNCELoss', temperature=0.4))
        self.weights = dict(contrast=contrast_weight, color=color_weight, normal=normal_weight)
        self.targets = {name: _columns(name, dims, voxel_channels)
                        for name, dims in (('color', color_dims), ('normal', normal_dims)) if self.weights[name]}
        self.mask_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, voxel_channels), std=0.02))
        self.restore = nn.ModuleDict({name: nn.Linear(in_channels, 3) for name in self.targets})

    def corrupt_views(self, sparse: Dict[str, Dict[str, Any]], inputs: Dict[str, Any],
                      data_samples: Optional[list]) -> Dict[str, Tuple[Dict[str, Any], Tensor]]:
        """Mask both views and mix the first; ``clean_rows`` of a view are the rows of the clean one that its rows are.

        Raises:
            KeyError: the views do not say where their points were.
            ValueError: the voxel features are not as wide as the token.
        """
        first, second = (sparse[name] for name in self.views)
        size = first['batch_size']
        seeds = sample_seeds(data_samples, size)
        xyz = tuple(self._positions(name, sparse[name], inputs) for name in self.views)
        scene = tuple(one['coors'][:, 0].long() for one in (first, second))
        masks = cross_masks(xyz, scene, size, seeds, self.patch_size, self.mask_rate)
        made = []
        for place, (one, mask) in enumerate(zip((first, second), masks)):
            one = {**one, 'voxels': self._mask(one['voxels'], mask)}
            rows = torch.arange(len(mask), device=mask.device)
            if place == 0:
                one, rows = mix_scenes(one, self.mix_prob, seeds)
            made.append(({**one, 'clean_rows': rows}, mask[rows]))
        return dict(zip(self.views, made))

    def loss(self, encoded: Dict[str, Encoded], inputs: Dict[str, Any],
             data_samples: Optional[list]) -> Dict[str, Tensor]:
        """``loss_contrast``, ``loss_color``, ``loss_normal``; logged beside them: ``matches``, the mean number of
        pairs of a scene, and ``retrieval``, the share of queries whose nearest key of their scene is their own."""
        views = [encoded[name] for name in self.views]
        clean = [inputs['views'][name]['voxels'] for name in self.views]
        losses = self._contrast(views, clean, inputs, data_samples)
        for name, dims in self.targets.items():
            guesses, truths = [], []
            for view, one in zip(views, clean):
                guesses.append(self.restore[name](view.features[view.mask]))
                truths.append(one['voxels'][view.sparse['clean_rows'][view.mask]][:, dims])
            guess, = full_precision(torch.cat(guesses))
            truth = torch.cat(truths).to(guess.dtype)
            error = _color_error(guess, truth) if name == 'color' else _normal_error(guess, truth)
            losses[f'loss_{name}'] = self.weights[name] * global_mean(*error)
        return losses

    def _contrast(self, views: List[Encoded], clean: List[Dict[str, Any]], inputs: Dict[str, Any],
                  data_samples: Optional[list]) -> Dict[str, Tensor]:
        """The contrastive loss and what is logged."""
        size = clean[0]['batch_size']
        rows = [view.sparse['clean_rows'] for view in views]
        xyz, scene = [], []
        for name, one, kept in zip(self.views, clean, rows):
            xyz.append(self._positions(name, one, inputs)[kept])
            scene.append(one['coors'][kept, 0].long())
        pairs = match_views(*xyz, *scene, size, sample_seeds(data_samples, size), **self.matching)
        query, key = (_unit(view.features[column]) for view, column in zip(views, pairs.T))
        where = scene[0][pairs[:, 0]]
        loss = self.criterion(query, key, scene=where, num_scenes=size)
        return dict(loss_contrast=self.weights['contrast'] * loss, matches=query.new_tensor(len(pairs) / max(1, size)),
                    retrieval=retrieval(query, key, where, pairs[:, 1]))

    def _mask(self, features: Tensor, mask: Tensor) -> Tensor:
        """Voxel features (N, C) with the token where ``mask`` (N,) is set."""
        if features.shape[1] != self.voxel_channels:
            raise ValueError(f'the voxels have {features.shape[1]} features, but the head\'s voxel_channels is '
                             f'{self.voxel_channels}: make them equal (feature_dims of the data preprocessor, '
                             'in_channels of the backbone)')
        return torch.where(mask[:, None], self.mask_token.to(features.dtype), features)

    @staticmethod
    def _positions(view: str, sparse: Dict[str, Any], inputs: Dict[str, Any]) -> Tensor:
        """(N, 3) where the voxels of a clean view lie in the frame that the views share."""
        source = inputs['views'][view]
        if 'xyz_world' not in source:
            raise KeyError(f"view {view!r} holds no 'xyz_world' (but {sorted(source)}): put KeepWorldCoordinates and "
                           "AddPointIndex before MakeViews and name 'xyz_world' in point_keys of PackPretrain3DInputs")
        return voxel_positions(source['xyz_world'], sparse)


def _columns(name: str, dims: Optional[Sequence[int]], width: int) -> List[int]:
    """ValueError unless these are three columns of the voxel features."""
    if dims is None or len(dims) != 3 or not all(0 <= column < width for column in dims):
        raise ValueError(f'{name}_weight is not 0, so {name}_dims must be three of the {width} columns of the voxel '
                         f'features, got {dims}')
    return list(dims)


def _unit(features: Tensor) -> Tensor:
    """Rows of unit length, in float32 or better."""
    return F.normalize(full_precision(features)[0], dim=1, eps=1e-6)


def _color_error(guess: Tensor, truth: Tensor) -> Tuple[Tensor, Tensor]:
    """Sum of the squared errors, and of how many voxels."""
    return (guess - truth).square().sum(), guess.new_tensor(len(guess))


def _normal_error(guess: Tensor, truth: Tensor) -> Tuple[Tensor, Tensor]:
    """Sum of 1 - cos of the angles between what was guessed and the normals, and how many voxels have a normal."""
    there = truth.norm(dim=1) > SHORTEST_NORMAL
    cosine = (F.normalize(guess, dim=1, eps=1e-6) * F.normalize(truth, dim=1)).sum(1)
    return torch.where(there, 1 - cosine, 0).sum(), there.sum()
