"""The pretext model: one encoder, several heads."""
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from mmengine.dist import get_world_size
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample, PointData

from .base import Encoded, PretextHead

CLEAN = None


@MODELS.register_module()
class PretextModel(BaseModel):
    """Train one sparse encoder by one or more pretext heads at once.

    The encoder runs once per distinct (view, corruption): heads that read the same clean view share a pass.

    Args:
        backbone (dict): Config of the encoder, called as ``backbone(sparse) -> (N, C)``, with ``out_channels``.
        heads (dict[str, dict]): Name -> config of a :class:`~.base.PretextHead`. Its losses are logged as
            ``<name>.<key>``.
        encoder_name (str): Name of the encoder among the model's children. With the name that the downstream model
            uses ('pts_middle_encoder' of CenterPoint), weights move without renaming. Defaults to 'backbone'.
        data_preprocessor (dict, optional): Usually ``Pretrain3DDataPreprocessor``.
        init_cfg (dict, optional): As in mmengine.
    """

    def __init__(self, backbone: dict, heads: Dict[str, dict], encoder_name: str = 'backbone',
                 data_preprocessor: Union[dict, nn.Module, None] = None, init_cfg: Optional[dict] = None) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if not heads:
            raise ValueError('PretextModel needs at least one head: heads=dict(<name>=dict(type=...))')
        if '.' in encoder_name or hasattr(self, encoder_name) or encoder_name == 'heads':
            raise ValueError(f'encoder_name {encoder_name!r} is taken or no attribute name; use for example "backbone"')
        for name in heads:
            if 'loss' in name or '.' in name:
                raise ValueError(f"head name {name!r} must hold neither 'loss' (mmengine would add everything the head "
                                 "logs to the loss) nor '.'")
        self.encoder_name = encoder_name
        self.add_module(encoder_name, MODELS.build(backbone))
        self.heads = nn.ModuleDict({name: MODELS.build(config) for name, config in heads.items()})
        self._check_corruptions()

    @property
    def encoder(self) -> nn.Module:
        """The encoder, whatever its name."""
        return getattr(self, self.encoder_name)

    def forward(self, inputs: Dict[str, Any], data_samples: Optional[list] = None, mode: str = 'tensor') \
            -> Union[Dict[str, Tensor], List[Tensor], list]:
        """Run the model.

        Args:
            inputs (dict): With ``voxels`` and, for heads that read them, ``views``.
            data_samples (list[Det3DDataSample], optional): Annotations.
            mode (str): 'loss', 'tensor' or 'predict'.

        Returns:
            dict | list: 'loss': what is back-propagated, weights applied (and, under keys without 'loss', what is
            only logged). 'tensor': features of every original point, one (n_i, C) per sample. 'predict': the data
            samples with these features as ``pred_pts_seg.features`` and what the heads add.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'tensor':
            return self._encode(None, [self._main_view(inputs)], inputs, data_samples, {})[0].per_point()
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        raise ValueError(f"mode is {mode!r}; it must be 'loss', 'tensor' or 'predict'")

    def loss(self, inputs: Dict[str, Any], data_samples: Optional[list] = None) -> Dict[str, Tensor]:
        """Losses of all heads, each under ``<head>.<key>`` and scaled by the head's weight."""
        passes: Dict[Tuple[str, Optional[str]], Encoded] = {}
        losses = {}
        for name, head in self.heads.items():
            encoded = dict(zip(head.views, self._encode(head, head.views, inputs, data_samples, passes)))
            own = head.loss(encoded, inputs, data_samples)
            losses.update(self._weighed(name, head, own, any(len(one.features) == 0 for one in encoded.values())))
        return losses

    def predict(self, inputs: Dict[str, Any], data_samples: Optional[list] = None) -> list:
        """Features per point and what the heads add, in the data samples."""
        passes: Dict[Tuple[str, Optional[str]], Encoded] = {}
        features = self._encode(None, [self._main_view(inputs)], inputs, data_samples, passes)[0].per_point()
        samples = data_samples or [Det3DDataSample() for _ in features]
        for sample, rows in zip(samples, features):
            sample.pred_pts_seg = PointData(features=rows)
        for head in self.heads.values():
            if type(head).predict is not PretextHead.predict:
                encoded = dict(zip(head.views, self._encode(head, head.views, inputs, data_samples, passes)))
                samples = head.predict(encoded, inputs, samples)
        return samples

    def encode(self, sparse: Dict[str, Any]) -> Tensor:
        """Features (N, C) of a sparse batch; without voxels (0, C), connected to the encoder's parameters.

        An encoder that names ``takes_empty`` runs on such a batch too, through its norms, which may synchronise.
        """
        if len(sparse['coors']) == 0 and not getattr(self.encoder, 'takes_empty', False):
            _check_nobody_waits(self.encoder)
            return sparse['voxels'].new_zeros(0, self.encoder.out_channels) + _anchor(self.encoder, sparse['voxels'])
        features = self.encoder(sparse)
        if not isinstance(features, Tensor) or len(features) != len(sparse['coors']):
            shape = getattr(features, 'shape', type(features).__name__)
            raise ValueError(f'{type(self.encoder).__name__} returned {shape} for {len(sparse["coors"])} voxels; a '
                             'pretext encoder returns one row per voxel')
        return features

    def _encode(self, head: Optional[PretextHead], views: Sequence[str], inputs: Dict[str, Any],
                data_samples: Optional[list], passes: Dict[Tuple[str, Optional[str]], Encoded]) -> List[Encoded]:
        """The views as ``head`` wants them (None: clean), from ``passes`` if they were encoded before."""
        corruption = CLEAN if head is None else head.corruption
        missing = [view for view in dict.fromkeys(views) if (view, corruption) not in passes]
        sparse = {view: _with_domains(_view(view, inputs), data_samples) for view in missing}
        if corruption is CLEAN:
            made = {view: (one, None) for view, one in sparse.items()}
        else:
            made = head.corrupt_views(sparse, inputs, data_samples) if sparse else {}
        for view in missing:
            passes[view, corruption] = Encoded(self.encode(made[view][0]), *made[view])
        return [passes[view, corruption] for view in views]

    def _main_view(self, inputs: Dict[str, Any]) -> str:
        """The view whose features are shown: the sample itself, else the first one a head reads."""
        return 'points' if 'voxels' in inputs else next(iter(self.heads.values())).views[0]

    def _weighed(self, name: str, head: PretextHead, losses: Dict[str, Tensor], empty: bool) -> Dict[str, Tensor]:
        """Prefix, scale, and, where a view was empty, tie the losses to all parameters that they usually reach."""
        keys = [key for key in losses if 'loss' in key]
        if not keys:
            raise ValueError(f"head {name!r} returned {list(losses)}; at least one key must contain 'loss'")
        weighed = {}
        for key, value in losses.items():
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise ValueError(f'head {name!r} returned {key!r} = {value}; it must be a scalar tensor')
            weighed[f'{name}.{key}'] = value * head.loss_weight if key in keys else value.detach()
        if empty:
            first = weighed[f'{name}.{keys[0]}']
            weighed[f'{name}.{keys[0]}'] = first + _anchor(head, first) + _anchor(self.encoder, first)
        return weighed

    def _check_corruptions(self) -> None:
        """One corruption name stands for one way to corrupt."""
        owners: Dict[str, Tuple[str, Any]] = {}
        for name, head in self.heads.items():
            if head.corruption is CLEAN:
                continue
            way: tuple = (type(head).corrupt, type(head).corrupt_views)
            if type(head).corrupt_views is not PretextHead.corrupt_views:
                way += (frozenset(head.views), )
            other, known = owners.setdefault(head.corruption, (name, way))
            if known[:2] != way[:2]:
                raise ValueError(f'heads {other!r} and {name!r} both name their corruption {head.corruption!r} but '
                                 'corrupt differently; give them different names')
            if known != way:
                raise ValueError(f'heads {other!r} and {name!r} share the corruption {head.corruption!r} of several '
                                 'views at once but read different views; give both the same views')


def _view(name: str, inputs: Dict[str, Any]) -> Dict[str, Any]:
    """Sparse batch of a view by its name."""
    source = inputs if name == 'points' else inputs.get('views', {}).get(name, {})
    if 'voxels' not in source:
        there = [*(['points'] if 'voxels' in inputs else []), *inputs.get('views', {})]
        raise KeyError(f'a head reads the view {name!r}, but the inputs hold {there or "no sparse batch"}: add it with '
                       'MakeViews, name it in the head\'s views, and set voxel_size of Pretrain3DDataPreprocessor')
    return source['voxels']


def _with_domains(sparse: Dict[str, Any], data_samples: Optional[list]) -> Dict[str, Any]:
    """The sparse batch with the ``domains`` of its samples, for a prompted encoder, where the samples say them.

    Raises:
        ValueError: Some say theirs and others do not.
    """
    names = [sample.metainfo.get('domain') for sample in data_samples or ()]
    if 'domains' in sparse or all(name is None for name in names):
        return sparse
    if None in names:
        raise ValueError(f'{names.count(None)} of {len(names)} samples of this batch do not say their domain: give '
                         "every data set's PackPretrain3DInputs its domain='...'")
    return {**sparse, 'domains': names}


def _check_nobody_waits(encoder: nn.Module) -> None:
    """Refuse to leave out an encoder whose norms on other ranks wait for those of this one."""
    waits = any(isinstance(one, nn.SyncBatchNorm) for one in encoder.modules())
    if waits and encoder.training and get_world_size() > 1:
        raise RuntimeError(f'a batch of this rank has no voxel; {type(encoder).__name__} cannot run on it, and the '
                           'other ranks would wait for its synchronising norms: use norms that do not synchronise, or '
                           'keep empty samples out')


def _anchor(module: nn.Module, like: Tensor) -> Tensor:
    """Zero that depends on every trainable parameter of ``module``, whatever their values."""
    zero = like.new_zeros(())
    for parameter in module.parameters():
        if parameter.requires_grad:
            zero = zero + parameter.reshape(-1)[:0].sum().to(zero.dtype)
    return zero
