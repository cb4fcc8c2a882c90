"""What a pretext task is made of: an encoded view and a head that asks something of it.

A method is a head. This one predicts the height of voxels it cannot see::

    @MODELS.register_module()
    class HeightHead(PretextHead):
        corruption = 'drop half'

        def __init__(self, in_channels, **kwargs):
            super().__init__(**kwargs)
            self.predict_height = nn.Linear(in_channels, 1)

        def corrupt(self, sparse):
            mask = torch.rand(len(sparse['coors']), device=sparse['coors'].device) < 0.5
            return {**sparse, 'voxels': sparse['voxels'].masked_fill(mask[:, None], 0)}, mask

        def loss(self, encoded, inputs, data_samples):
            seen = encoded['points']
            error = self.predict_height(seen.features[seen.mask])[:, 0] - seen.sparse['coors'][seen.mask, 3]
            return dict(loss_height=global_mean(error.abs()))

and this config trains it: ``model=dict(type='PretextModel', backbone=..., heads=dict(height=dict(type='HeightHead',
in_channels=96)), data_preprocessor=dict(type='Pretrain3DDataPreprocessor', voxel_size=0.05))``.
"""
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from mmengine.model import BaseModule
from torch import Tensor

from pretrain3d.datasets.sparse_batch import gather_points


@dataclass
class Encoded:
    """One view of a batch after the encoder.

    Attributes:
        features (Tensor): (N, C), aligned with the rows of ``sparse['coors']``.
        sparse (dict): The sparse batch that the encoder saw, corrupted where the head corrupts.
        mask (Tensor, optional): (N,) bool, the rows that were corrupted; ``None`` for a clean view.
    """
    features: Tensor
    sparse: Dict[str, Any]
    mask: Optional[Tensor] = None

    def per_point(self) -> List[Tensor]:
        """Features of the original points, one (n_i, C) per sample; 0 for points outside the point cloud range."""
        return gather_points(self.features, self.sparse)


class PretextHead(BaseModule):
    """Base of pretext heads; a subclass writes :meth:`loss` and, if it masks, ``corruption`` and :meth:`corrupt` (or
    :meth:`corrupt_views`, if one view's corruption depends on another view).

    Rules for :meth:`loss`:

    - Keys that contain ``loss`` are back-propagated, scaled by ``loss_weight``; others are logged only.
    - It is called on every rank in every step, also when a view has no voxels there; reduce with
      :func:`~pretrain3d.heads.global_mean`, which takes empty tensors.
    - It must not write into ``inputs`` or the encoded views: other heads read the same ones.

    Attributes:
        views (tuple[str]): Views it reads; 'points' is the sample itself, others are names of ``inputs['views']``.
        corruption (str, optional): Name of its corruption. Heads that give the same name share one corrupted pass and
            must share one :meth:`corrupt`. ``None``: the head reads the clean view.

    Args:
        loss_weight (float): Factor of all its losses. Defaults to 1.
        views (sequence[str], optional): Overrides the class's views.
        init_cfg (dict, optional): As in mmengine.
    """

    views: Tuple[str, ...] = ('points', )
    corruption: Optional[str] = None

    def __init__(self, loss_weight: float = 1., views: Optional[Sequence[str]] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.loss_weight = loss_weight
        if isinstance(views, str):
            raise TypeError(f'views of {type(self).__name__} is the string {views!r}; give a list of names')
        if views is not None:
            self.views = tuple(views)

    def corrupt(self, sparse: Dict[str, Any]) -> Tuple[Dict[str, Any], Tensor]:
        """Corrupt the encoder's input.

        Args:
            sparse (dict): Clean sparse batch; to be copied, never written into.

        Returns:
            tuple: The corrupted sparse batch and the (N,) bool mask of its corrupted rows. Where rows are taken out,
            ``point2voxel`` has to follow.
        """
        raise NotImplementedError(
            f'{type(self).__name__} names the corruption {self.corruption!r} but has no corrupt()')

    def corrupt_views(self, sparse: Dict[str, Dict[str, Any]], inputs: Dict[str, Any],
                      data_samples: Optional[list]) -> Dict[str, Tuple[Dict[str, Any], Tensor]]:
        """Corrupt all views of the head at once; by default each by :meth:`corrupt`.

        For corruptions of one view that depend on another, on further inputs or on the samples' seeds
        (``pretext.draws``). Heads that share such a corruption have to read the same views.

        Args:
            sparse (dict[str, dict]): Clean sparse batch of every view; never to be written into.
            inputs (dict): As the data preprocessor made them.
            data_samples (list[Det3DDataSample]): Annotations and meta information.

        Returns:
            dict[str, tuple]: What :meth:`corrupt` returns, of every view.
        """
        return {name: self.corrupt(one) for name, one in sparse.items()}

    def loss(self, encoded: Dict[str, Encoded], inputs: Dict[str, Any],
             data_samples: Optional[list]) -> Dict[str, Tensor]:
        """Losses of this task.

        Args:
            encoded (dict[str, Encoded]): One entry per name in ``views``.
            inputs (dict): As the data preprocessor made them.
            data_samples (list[Det3DDataSample]): Annotations and meta information.

        Returns:
            dict[str, Tensor]: Scalars.
        """
        raise NotImplementedError(f'{type(self).__name__} has no loss()')

    def predict(self, encoded: Dict[str, Encoded], inputs: Dict[str, Any], data_samples: list) -> list:
        """Add to ``data_samples`` what a person would look at; by default nothing."""
        return data_samples
