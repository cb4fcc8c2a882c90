"""Segmentation heads that know which classes each domain has: decoupled and unionized (Point Prompt Training)."""
from typing import Dict, Mapping, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdet3d.registry import DATASETS, MODELS
from pretrain3d.label_spaces import UnknownNameError, class_text, get_label_space
from pretrain3d.label_spaces.space import fold, unknown

from .lovasz import lovasz_softmax
from .reduction import global_mean

Classes = Union[str, Sequence[str]]


class DomainHead(BaseModule):
    """Class scores in the label space of a row's domain, their cross-entropy and, if wanted, Lovasz-softmax.

    With one domain it is a decode head of ``VoxelSegmentor``: ``forward(features)`` and ``loss(features, labels)``.

    Args:
        label_spaces: domain -> name of its label space, e.g. ``dict(ScanNet='ScanNet20', S3DIS='S3DIS13')``; or one
            name, which then also names the one domain.
        classes: domain -> class names in the order of its labels, or the registered type of its dataset, whose
            METAINFO has them; without domains (a list or a type) where there is one. Labels count in that order.
            None: all classes of the label space, in its order.
        init_cfg: mmengine's.
        lovasz_weight: factor of the Lovasz-softmax; 0 leaves it out.

    Attributes:
        class_names: domain -> names of the classes, as the label space spells them, in the order of the labels.

    Raises:
        UnknownNameError: no such label space, class or domain; the nearest is named.
    """

    def __init__(self, label_spaces: Union[str, Mapping[str, str]], classes: Union[None, Classes, Mapping] = None,
                 init_cfg: Optional[Dict] = None, lovasz_weight: float = 0.) -> None:
        super().__init__(init_cfg)
        if lovasz_weight < 0:
            raise ValueError(f'lovasz_weight must not be negative, got {lovasz_weight}')
        self.lovasz_weight = lovasz_weight
        if isinstance(label_spaces, str):
            label_spaces = {label_spaces: label_spaces}
        if not label_spaces:
            raise ValueError('label_spaces must name at least one domain and its label space')
        if classes is None or not isinstance(classes, Mapping):
            if classes is not None and len(label_spaces) > 1:
                raise ValueError(f'classes must say of which domain they are: dict({next(iter(label_spaces))}=...)')
            classes = {} if classes is None else {next(iter(label_spaces)): classes}
        self.label_spaces = dict(label_spaces)
        for domain in classes:
            self.check_domain(domain)
        self.class_names = {domain: _resolve(space, classes.get(domain)) for domain, space in self.label_spaces.items()}

    @property
    def num_classes(self) -> int:
        """Number of classes of the only domain."""
        return len(self.class_names[self.check_domain(None)])

    def check_domain(self, domain: Optional[str]) -> str:
        """The domain, or the only one for ``None``. UnknownNameError, which names the known ones."""
        if domain is None and len(self.label_spaces) == 1:
            return next(iter(self.label_spaces))
        if domain not in self.label_spaces:
            if domain is None:
                raise UnknownNameError(f'which domain is this of? The head has {", ".join(self.label_spaces)}')
            raise unknown('domain', domain, self.label_spaces, ', '.join(self.label_spaces))
        return domain

    def check_classes(self, domain: str, metainfo: Mapping) -> None:
        """Hold ``classes`` of a dataset's meta information against those of the head.

        Raises:
            ValueError: another number or order of classes; the first that differs is named.
        """
        own = self.class_names[self.check_domain(domain)]
        given = _resolve(self.label_spaces[domain], metainfo['classes'])
        for label in range(max(len(own), len(given))):
            pair = [names[label] if label < len(names) else None for names in (own, given)]
            if pair[0] != pair[1]:
                raise ValueError(f'label {label} of {domain} is {pair[0]!r} for the head but {pair[1]!r} for the '
                                 'dataset: give the head classes=dict(domain=<the METAINFO or type of the dataset>)')

    def texts(self, domain: str) -> Tuple[str, ...]:
        """What is said of each class of a domain, in the order of its labels."""
        return tuple(class_text(self.label_spaces[domain], name) for name in self.class_names[domain])

    def forward(self, features: Tensor, domain: Optional[str] = None) -> Tensor:
        """(N, in_channels) features of a domain (``None``: the only one) -> (N, its number of classes) logits."""
        return self.logits(features, self.check_domain(domain))

    def logits(self, features: Tensor, domain: str) -> Tensor:
        """As :meth:`forward`, of a domain that is there."""
        raise NotImplementedError

    def loss(self, features: Tensor, labels: Tensor, domain: Optional[str] = None) -> Dict[str, Tensor]:
        """Loss of rows of one domain (``None``: the only one); see :meth:`loss_by_domain`."""
        return self.loss_by_domain({self.check_domain(domain): (features, labels)})

    def check_labels(self, domain: str, features: Tensor, labels: Tensor) -> Tensor:
        """The labels as int64. ValueError: one for another row, or outside the label space of the domain."""
        number = len(self.class_names[self.check_domain(domain)])
        labels = labels.long()
        if labels.shape != features.shape[:1]:
            raise ValueError(f'{features.shape[0]} rows but labels of shape {tuple(labels.shape)}')
        if not labels.is_cuda and len(labels) and not 0 <= labels.min() <= labels.max() <= number:
            # A GPU asserts this by itself.
            raise ValueError(
                f'labels of {domain} lie in [{labels.min()}, {labels.max()}] but must be in [0, {number}), or '
                f'{number} for unlabelled; map them in the pipeline (PointSegClassMapping)')
        return labels

    def loss_by_domain(self, parts: Mapping[str, Tuple[Tensor, Tensor]]) -> Dict[str, Tensor]:
        """Loss of a batch.

        Args:
            parts: domain -> (N_d, in_channels) features and (N_d,) labels, where the number of its classes means:
                ignore. Ranks may have other domains, or none.

        Returns:
            ``loss_ce``: mean over the labelled rows of all domains and ranks, each against the classes of its own
            domain. ``loss_lovasz``, with ``lovasz_weight``: mean over the domains of each rank that have labelled
            rows there, each sorted by itself. Half precision is left for float32. Every parameter of the head is in
            the graph.
        """
        total = sum(parameter.sum() for parameter in self.parameters()) * 0
        lovasz, seen = total, torch.zeros((), dtype=torch.int64, device=total.device)
        count = torch.zeros_like(seen)
        for domain, (features, labels) in parts.items():
            labels = self.check_labels(domain, features, labels)
            number = len(self.class_names[domain])
            logits = self.logits(features, domain)
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            total = total + F.cross_entropy(logits, labels, ignore_index=number, reduction='sum')
            own = (labels != number).sum()
            count = count + own
            if self.lovasz_weight:
                lovasz, seen = lovasz + lovasz_softmax(logits.softmax(1), labels, number), seen + (own > 0)
        losses = dict(loss_ce=global_mean(total, count))
        if self.lovasz_weight:
            losses['loss_lovasz'] = self.lovasz_weight * global_mean(lovasz, seen)
        return losses


def _resolve(space: str, classes: Optional[Classes]) -> Tuple[str, ...]:
    """Names of classes in the order of their labels, as the label space spells them."""
    known = get_label_space(space)
    if classes is None:
        return known.classes
    if isinstance(classes, str):
        dataset = DATASETS.get(classes)
        if dataset is None:
            raise UnknownNameError(f'classes={classes!r} is no registered dataset; give its type or the class names')
        classes = dataset.METAINFO['classes']
    names = tuple(known.classes[index] for index in known.indices(classes))
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'the class {twice!r} of {space} is given twice')
    return names


@MODELS.register_module()
class DecoupledHead(DomainHead):
    """A linear classifier for each domain: the same class of two domains has nothing in common.

    Args:
        in_channels: channels of the features.
        label_spaces, classes, init_cfg, lovasz_weight: as of :class:`DomainHead`.
    """

    def __init__(self, in_channels: int, label_spaces: Union[str, Mapping[str, str]],
                 classes: Union[None, Classes, Mapping] = None, init_cfg: Optional[Dict] = None,
                 lovasz_weight: float = 0.) -> None:
        super().__init__(label_spaces, classes, init_cfg, lovasz_weight)
        self.classifiers = nn.ModuleDict(
            {domain: _classifier(in_channels, len(names)) for domain, names in self.class_names.items()})

    def logits(self, features: Tensor, domain: str) -> Tensor:
        """See :class:`DomainHead`."""
        return self.classifiers[domain](features)


@MODELS.register_module()
class UnionizedHead(DomainHead):
    """One linear classifier of the classes of all domains; each domain has its own of them, by name.

    Args:
        in_channels: channels of the features.
        label_spaces, classes, init_cfg, lovasz_weight: as of :class:`DomainHead`.

    Attributes:
        union: words of the classes, in the order in which the domains have them.
    """

    def __init__(self, in_channels: int, label_spaces: Union[str, Mapping[str, str]],
                 classes: Union[None, Classes, Mapping] = None, init_cfg: Optional[Dict] = None,
                 lovasz_weight: float = 0.) -> None:
        super().__init__(label_spaces, classes, init_cfg, lovasz_weight)
        union: Dict[str, str] = {}
        for domain in self.class_names:
            for text in self.texts(domain):
                union.setdefault(fold(text), text)
        self.union = tuple(union.values())
        self.classifier = _classifier(in_channels, len(self.union))
        for domain in self.class_names:
            columns = [list(union).index(fold(text)) for text in self.texts(domain)]
            self.register_buffer(f'columns_{domain}', torch.tensor(columns), persistent=False)

    def logits(self, features: Tensor, domain: str) -> Tensor:
        """See :class:`DomainHead`."""
        columns = getattr(self, f'columns_{domain}')
        return F.linear(features, self.classifier.weight[columns], self.classifier.bias[columns])


def _classifier(in_channels: int, num_classes: int) -> nn.Linear:
    """A linear layer that starts as ``SegmentationHead``'s."""
    layer = nn.Linear(in_channels, num_classes)
    nn.init.trunc_normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer
