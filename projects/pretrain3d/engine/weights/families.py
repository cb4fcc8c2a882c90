"""Mappings of released weights by name: ``WeightTransferHook(mapping='pointcept_spunet', ...)``."""
import re
from collections import OrderedDict

import torch

from .errors import WeightsError
from .mapping import register_mapping

_POINTNET2 = re.compile(r'^((module|backbone_net)\.)*(sa|fp)([1-9])\.mlp(_module)?\.')


@register_mapping('pointcept_spunet')
def pointcept_spunet(state: 'OrderedDict[str, torch.Tensor]') -> 'OrderedDict[str, torch.Tensor]':
    """Weights of Pointcept's SpUNet to those of our ``SpUNet``."""
    # The conversion lives beside the network, and backbones are not imported before someone needs them.
    from pretrain3d.backbones import convert_pointcept_state_dict
    try:
        return convert_pointcept_state_dict(state)
    except ValueError as error:
        raise WeightsError(str(error)) from None


@register_mapping('votenet_pointnet2')
def votenet_pointnet2(state: 'OrderedDict[str, torch.Tensor]') -> 'OrderedDict[str, torch.Tensor]':
    """Weights of the PointNet++ of VoteNet's own code, also as Contrastive Scene Contexts pre-trains it, to those of
    mmdet3d's ``PointNet2SASSG`` and of ``SparsePointNet2``.

    Those of Contrastive Scene Contexts read positions alone: ``in_channels=3``, ``fp_channels`` that end in
    (128, 32). Made from the names in the released code, not tried on the released files.
    """
    converted: 'OrderedDict[str, torch.Tensor]' = OrderedDict()
    for key, tensor in state.items():
        found = _POINTNET2.match(key)
        if found:
            part = 'SA_modules.{}.mlps.0.' if found.group(3) == 'sa' else 'FP_modules.{}.mlps.'
            key = part.format(int(found.group(4)) - 1) + key[found.end():].replace('.bn.bn.', '.bn.')
        converted[key] = tensor
    if 'SA_modules.0.mlps.0.layer0.conv.weight' not in converted:
        raise WeightsError("no 'sa1.mlp_module.layer0.conv.weight' among the weights: this is no PointNet++ of "
                           f'VoteNet; its first names are {list(state)[:3]}')
    return converted
