"""Segmentation by the direction of the words of each class (Point Prompt Training's categorical alignment)."""
import json
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmdet3d.registry import MODELS
from pretrain3d.label_spaces import UnknownNameError, legacy_class_text, open_text_bank
from pretrain3d.label_spaces.text_bank import STAND_IN

from .domain_head import Classes, DomainHead
from .text_criteria import INFO_NCE, TextRows, build_criterion

SOURCE_BYTES = 8192  # of the note about the text bank; always as many, or a loader would drop it for its shape


@MODELS.register_module()
class LanguageGuidedHead(DomainHead):
    """Logits s * <z / |z|, t_k> of a projection z of the features and the unit vectors t_k of the words of the classes.

    Cross-entropy of these is InfoNCE whose negatives are the other classes of the row's own domain; other criteria are
    in :mod:`.text_criteria`. Text vectors are not trained. Projection, norm, logits and criterion are in float32 also
    under autocast; |z| is sqrt(z.z + eps), whose gradient is bounded where z is 0.

    Args:
        in_channels: channels of the features.
        label_spaces, classes: as of :class:`DomainHead`.
        text_bank: file of ``tools/build_text_bank.py``, or 'hashed-ngrams', a stand-in that knows nothing of language.
            A checkpoint remembers encoder, weights and templates of its bank, and loads with no other.
        logit_scale: s; CLIP's is 100.
        eps: see above.
        criterion: 'InfoNCE', 'L2', 'Discriminative' or 'TextContrastive', or ``dict(type=..., <options>)``.
        legacy_order: domains whose classes have the words against which Pointcept's released models were trained by
            mistake (S3DIS); only for their weights, which give a class its right label only so.
        init_cfg: mmengine's.
        lovasz_weight: as of :class:`DomainHead`; only with InfoNCE.
    """

    def __init__(self, in_channels: int, label_spaces: Union[str, Mapping[str, str]], text_bank: str,
                 classes: Union[None, Classes, Mapping] = None, logit_scale: float = 100., eps: float = 1e-6,
                 criterion: Union[str, Mapping] = INFO_NCE, legacy_order: Sequence[str] = (),
                 init_cfg: Optional[Dict] = None, lovasz_weight: float = 0.) -> None:
        super().__init__(label_spaces, classes, init_cfg, lovasz_weight)
        if isinstance(legacy_order, str):
            raise TypeError(f'legacy_order must be a list of domains, got {legacy_order!r}: write [{legacy_order!r}]')
        self.legacy_order = tuple(sorted(self.check_domain(domain) for domain in legacy_order))
        bank = open_text_bank(text_bank)
        self.logit_scale = logit_scale
        self.eps = eps
        self.criterion = build_criterion(criterion)
        if lovasz_weight and self.criterion is not None:
            raise ValueError(f'lovasz_weight goes with InfoNCE alone, the criterion is {criterion!r}: set it to 0')
        self.bank_source = dict(bank.source)
        if self.legacy_order:
            self.bank_source['legacy_order'] = list(self.legacy_order)
        for domain in self.class_names:
            try:
                rows = bank.rows(self.texts(domain))
            except UnknownNameError as error:
                raise UnknownNameError(f'text_bank {text_bank} lacks a class of {domain}: {error}') from None
            self.register_buffer(f'text_{domain}', torch.from_numpy(np.ascontiguousarray(rows)), persistent=False)
        self.register_buffer('text_source', encode_source(self.bank_source))
        self.projection = nn.Linear(in_channels, bank.embeddings.shape[1])
        print_log(f'LanguageGuidedHead: text bank {text_bank} ({json.dumps(bank.source)})'
                  + ('; a stand-in, no claim about language follows' if text_bank == STAND_IN else ''), 'current')

    def texts(self, domain: str) -> Tuple[str, ...]:
        """See :class:`DomainHead`; of a domain in ``legacy_order`` the released words."""
        if domain not in self.legacy_order:
            return super().texts(domain)
        return tuple(legacy_class_text(self.label_spaces[domain], name) for name in self.class_names[domain])

    def logits(self, features: Tensor, domain: str) -> Tensor:
        """See :class:`DomainHead`."""
        weight, bias = self.projection.weight, self.projection.bias
        with torch.autocast(features.device.type, enabled=False):
            features = features.to(weight.dtype)
            text = self.logit_scale * getattr(self, f'text_{domain}').to(weight.dtype)
            return nn.functional.linear(features, text @ weight, text @ bias) / self.length(features)

    def length(self, features: Tensor) -> Tensor:
        """(N, in_channels) features f -> sqrt(z.z + eps) (N, 1) of z = W f + b, without the (N, C) of z.

        With the Cholesky factor L of [W b]^T [W b], of which eps is added to the last entry, it is the length of
        L^T [f 1]: as exact as that of z, other than the square root of a quadratic form, whose terms cancel.
        """
        joined = torch.cat([self.projection.weight, self.projection.bias[:, None]], 1).double()
        gram = joined.T @ joined
        size = gram.diagonal().mean().detach()
        # A projection to fewer than in_channels + 1 dimensions has no factor without the 1e-14.
        extra = torch.full_like(gram[0], 1e-14) * size + torch.finfo(torch.float32).tiny
        extra[-1] += self.eps
        factor = torch.linalg.cholesky_ex(gram + extra.diag()).L.to(features.dtype)
        return nn.functional.linear(features, factor[:-1].T, factor[-1]).norm(dim=1, keepdim=True)

    def project(self, features: Tensor) -> Tuple[Tensor, Tensor]:
        """(N, in_channels) features -> z and z / |z|, both (N, C)."""
        projected = self.projection(features.to(self.projection.weight.dtype))
        size = (projected.square().sum(1, keepdim=True) + self.eps).sqrt()
        return projected, projected / size

    def loss_by_domain(self, parts: Mapping[str, Tuple[Tensor, Tensor]]) -> Dict[str, Tensor]:
        """See :class:`DomainHead`: ``loss_ce``, or ``loss_text`` of another criterion than InfoNCE."""
        if self.criterion is None:
            return super().loss_by_domain(parts)
        for domain in parts:
            self.check_domain(domain)
        weight = self.projection.weight
        rows = []
        with torch.autocast(weight.device.type, enabled=False):
            for domain in self.class_names:  # all of them: other ranks may have those that are absent here
                features, labels = parts.get(domain, (weight.new_zeros(0, weight.shape[1]),
                                                      torch.zeros(0, dtype=torch.int64, device=weight.device)))
                labels = self.check_labels(domain, features, labels)
                projected, unit = self.project(features)
                rows.append(TextRows(projected, unit, labels, getattr(self, f'text_{domain}').to(unit.dtype)))
            return dict(loss_text=self.criterion(rows))

    def _load_from_state_dict(self, state_dict: Dict[str, Any], prefix: str, *args: Any) -> None:
        """Refuse weights that were trained against the words of another encoder, or in another order."""
        given = state_dict.get(f'{prefix}text_source')
        if given is not None:
            source = decode_source(given)
            legacy = [domain for domain in source.get('legacy_order', ()) if domain in self.class_names]
            source = dict({key: value for key, value in source.items() if key != 'legacy_order'},
                          **(dict(legacy_order=legacy) if legacy else {}))
            if source != self.bank_source:
                # mmengine's loader would make a warning of an entry in the list of errors.
                raise RuntimeError(
                    f'{prefix[:-1]}: the weights were trained with the text bank {source}, this head has '
                    f'{self.bank_source}: give it text_bank=<that one>'
                    + (f', legacy_order={legacy}' if legacy != list(self.legacy_order) else ''))
            # Of another length in older checkpoints.
            state_dict[f'{prefix}text_source'] = encode_source(decode_source(given)).to(given.device)
        super()._load_from_state_dict(state_dict, prefix, *args)


def encode_source(source: Mapping[str, Any]) -> Tensor:
    """JSON as bytes, zeros behind it: what keeps checkpoints does so with tensors only."""
    text = json.dumps(source, sort_keys=True).encode()
    if len(text) > SOURCE_BYTES:
        raise ValueError(f'the source of a text bank has {len(text)} bytes, at most {SOURCE_BYTES} can be noted in a '
                         'checkpoint: use fewer templates')
    return torch.frombuffer(bytearray(text.ljust(SOURCE_BYTES, b'\0')), dtype=torch.uint8).clone()


def decode_source(source: Tensor) -> Dict[str, Any]:
    """The inverse of :func:`encode_source`."""
    return json.loads(bytes(source.cpu().tolist()).rstrip(b'\0').decode())
