"""Mappings of released weights by name: ``WeightTransferHook(mapping='pointcept_spunet', ...)``."""
from collections import OrderedDict

import torch

from .errors import WeightsError
from .mapping import register_mapping


@register_mapping('pointcept_spunet')
def pointcept_spunet(state: 'OrderedDict[str, torch.Tensor]') -> 'OrderedDict[str, torch.Tensor]':
    """Weights of Pointcept's SpUNet to those of our ``SpUNet``."""
    # The conversion lives beside the network, and backbones are not imported before someone needs them.
    from pretrain3d.backbones import convert_pointcept_state_dict
    try:
        return convert_pointcept_state_dict(state)
    except ValueError as error:
        raise WeightsError(str(error)) from None
