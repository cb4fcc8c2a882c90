"""Segmentation by the direction of the words of each class (Point Prompt Training's categorical alignment)."""
import json
from typing import Any, Dict, List, Mapping, Optional, Union

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmdet3d.registry import MODELS
from pretrain3d.label_spaces import open_text_bank
from pretrain3d.label_spaces.text_bank import STAND_IN

from .domain_head import Classes, DomainHead


@MODELS.register_module()
class LanguageGuidedHead(DomainHead):
    """Logits s * <z / |z|, t_k> of a projection z of the features and the unit vectors t_k of the words of the classes.

    Cross-entropy of these is InfoNCE whose negatives are the other classes of the row's own domain. Text vectors are
    not trained. Projection, norm and logits are in float32 also under autocast; |z| is sqrt(z.z + eps), whose gradient
    is bounded where z is 0.

    Args:
        in_channels: channels of the features.
        label_spaces, classes: as of :class:`DomainHead`.
        text_bank: file of ``tools/build_text_bank.py``, or 'hashed-ngrams', a stand-in that knows nothing of language.
            A checkpoint remembers encoder, weights and templates of its bank, and loads with no other.
        logit_scale: s; CLIP's is 100.
        eps: see above.
        init_cfg: mmengine's.
    """

    def __init__(self, in_channels: int, label_spaces: Union[str, Mapping[str, str]], text_bank: str,
                 classes: Union[None, Classes, Mapping] = None, logit_scale: float = 100., eps: float = 1e-6,
                 init_cfg: Optional[Dict] = None) -> None:
        super().__init__(label_spaces, classes, init_cfg)
        bank = open_text_bank(text_bank)
        self.logit_scale = logit_scale
        self.eps = eps
        self.bank_source = bank.source
        for domain in self.class_names:
            rows = torch.from_numpy(np.ascontiguousarray(bank.rows(self.texts(domain))))
            self.register_buffer(f'text_{domain}', rows, persistent=False)
        self.register_buffer('text_source', _encode(bank.source))
        self.projection = nn.Linear(in_channels, bank.embeddings.shape[1])
        print_log(f'LanguageGuidedHead: text bank {text_bank} ({json.dumps(bank.source)})'
                  + ('; a stand-in, no claim about language follows' if text_bank == STAND_IN else ''), 'current')

    def logits(self, features: Tensor, domain: str) -> Tensor:
        """See :class:`DomainHead`."""
        text = getattr(self, f'text_{domain}')
        with torch.autocast(features.device.type, enabled=False):
            projected = self.projection(features.to(self.projection.weight.dtype))
            size = (projected.square().sum(1, keepdim=True) + self.eps).sqrt()
            return self.logit_scale * (projected / size) @ text.to(projected.dtype).T

    def _load_from_state_dict(self, state_dict: Dict[str, Any], prefix: str, local_metadata: Dict, strict: bool,
                              missing_keys: List[str], unexpected_keys: List[str], error_msgs: List[str]) -> None:
        """Refuse weights that were trained against the words of another encoder."""
        given = state_dict.get(f'{prefix}text_source')
        if given is not None and _decode(given) != self.bank_source:
            error_msgs.append(f'{prefix[:-1]}: the weights were trained with the text bank {_decode(given)}, this head '
                              f'has {self.bank_source}: give it text_bank=<that one>')
            return
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
                                      error_msgs)


def _encode(source: Mapping[str, Any]) -> Tensor:
    """JSON as bytes: what keeps checkpoints does so with tensors only."""
    return torch.frombuffer(bytearray(json.dumps(source, sort_keys=True).encode()), dtype=torch.uint8).clone()


def _decode(source: Tensor) -> Dict[str, Any]:
    """The inverse of :func:`_encode`."""
    return json.loads(bytes(source.cpu().tolist()).decode())
