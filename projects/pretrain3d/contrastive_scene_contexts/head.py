"""The pretext head: project both views, draw matches, contrast them."""
import inspect
from typing import Any, Callable, Dict, Optional

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from torch import Tensor, nn

from pretrain3d.datasets.sparse_batch import voxel_positions
from pretrain3d.heads.point_info_nce import full_precision
from pretrain3d.heads.retrieval import retrieval
from pretrain3d.pretext import Encoded, PretextHead
from pretrain3d.pretext.draws import sample_seeds

from .sampling import sample_pairs, voxel_pairs


@MODELS.register_module()
class SceneContextsHead(PretextHead):
    """Contrast matching voxels of two partial views of a scene.

    Reads ``inputs['pairs']`` (per sample (P_i, 2) rows of matching points) and, for a loss with cells,
    ``inputs['views'][v]['xyz_world']``. What a batch draws follows from its samples' ``voxel_seed``.

    Args:
        in_channels: width of the encoder's features.
        out_channels: width of the space in which voxels are compared. Defaults to 32.
        loss: config of the loss. It is called with those of these that its ``forward`` names: ``query``, ``key`` (M, C)
            unit rows that match; ``scene`` (M,); ``num_scenes``; ``xyz`` (M, 3) metres, where the queries lie in the
            frame that its attribute ``frame`` names ('world' or 'augmented'); ``query_rows``, ``key_rows`` (M,);
            ``features``, unit rows of all voxels of both views, and ``voxel_scenes``, their samples; ``pairs`` (P, 2), all
            matching voxels; ``seeds``.
        samples_per_scene: most matches of a scene. Defaults to 4096.
        distinct_queries: see :func:`~.sampling.sample_pairs`.
        kwargs: arguments of ``PretextHead``.
    """

    views = ('view0', 'view1')

    def __init__(self, in_channels: int, loss: dict, out_channels: int = 32, samples_per_scene: int = 4096,
                 distinct_queries: bool = True, **kwargs) -> None:
        super().__init__(**kwargs)
        if samples_per_scene < 1:
            raise ValueError(f'samples_per_scene must be at least 1, got {samples_per_scene}')
        if len(self.views) != 2:
            raise ValueError(f'SceneContextsHead contrasts two views, got views={list(self.views)}')
        self.projection = nn.Linear(in_channels, out_channels)
        self.criterion = MODELS.build(loss)
        self.samples_per_scene = samples_per_scene
        self.distinct_queries = distinct_queries
        self.wanted = tuple(inspect.signature(self.criterion.forward).parameters)

    def embed(self, features: Tensor) -> Tensor:
        """(N, in_channels) -> (N, out_channels) of unit length, in float32 or better."""
        projected, = full_precision(self.projection(features))
        return F.normalize(projected, dim=1, eps=1e-6)

    def loss(self, encoded: Dict[str, Encoded], inputs: Dict[str, Any],
             data_samples: Optional[list]) -> Dict[str, Tensor]:
        """``loss_contrast``; logged beside it: ``matches``, the mean number of contrasted pairs of a scene, and
        ``retrieval``, the share of queries whose nearest sampled key of their scene is their own (in [0, 1])."""
        if 'pairs' not in inputs:
            raise KeyError(f"inputs hold no 'pairs' (but {sorted(inputs)}): put MatchViews behind MakeViews and name "
                           "'pairs' in the keys of PackPretrain3DInputs")
        views = [encoded[name] for name in self.views]
        every = voxel_pairs(inputs['pairs'], views[0].sparse, views[1].sparse)
        seeds = sample_seeds(data_samples, every.num_scenes)
        sampled = sample_pairs(every, self.samples_per_scene, seeds, self.distinct_queries)
        query = self.embed(views[0].features[sampled.query_rows])
        key = self.embed(views[1].features[sampled.key_rows])
        offers: Dict[str, Callable[[], Any]] = dict(
            query=lambda: query,
            key=lambda: key,
            scene=lambda: sampled.scene,
            num_scenes=lambda: every.num_scenes,
            xyz=lambda: self._positions(views[0], inputs)[sampled.query_rows],
            query_rows=lambda: sampled.query_rows,
            key_rows=lambda: sampled.key_rows,
            features=lambda: [self.embed(view.features) for view in views],
            pairs=lambda: torch.stack([every.query_rows, every.key_rows], dim=1),
            seeds=lambda: seeds,
            voxel_scenes=lambda: [view.sparse['coors'][:, 0].long() for view in views])
        loss = self.criterion(**{name: offers[name]() for name in self.wanted if name in offers})
        matches = query.new_tensor(len(sampled) / max(1, every.num_scenes))
        return dict(loss_contrast=loss, matches=matches,
                    retrieval=retrieval(query, key, sampled.scene, sampled.key_rows))

    def _positions(self, view: Encoded, inputs: Dict[str, Any]) -> Tensor:
        """(N0, 3) where the voxels of the first view lie."""
        source = inputs['views'][self.views[0]]
        name = 'xyz_world' if getattr(self.criterion, 'frame', 'world') == 'world' else 'points'
        if name not in source:
            raise KeyError(f"view {self.views[0]!r} holds no {name!r} (but {sorted(source)}): name it in point_keys of "
                           "PackPretrain3DInputs, or give the loss frame='augmented'")
        return voxel_positions(source[name], view.sparse)
