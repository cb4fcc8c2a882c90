"""Checkpoints of Pointcept's Point Prompt Training and Masked Scene Contrast -> our models.

``pointcept_ppt_indoor`` and ``pointcept_ppt_outdoor`` make the names of a ``DomainSegmentor`` of a
``PromptedBackbone`` (adapter 'norm', scope 'all') of ``SpUNet``, and a ``LanguageGuidedHead`` (v1m1) or
``DecoupledHead`` (v1m2); ``pointcept_msc`` those of ``MaskedSceneContrast``. Domains go by name: the wrapper and its
backbone count them in different orders, which a file does not tell, so the two mappings have those of the released
recipes; :func:`ppt_mapping` makes one of other orders.

Tested by the logits of the released classes with random weights, not with the released files.
"""
from collections import OrderedDict
from typing import Dict, List, Mapping, Sequence

import numpy as np
from mmengine.logging import print_log
from torch import Tensor

from pretrain3d.label_spaces import LABEL_SPACES, TextBank
from pretrain3d.label_spaces.space import fold
from pretrain3d.label_spaces.texts import LEGACY_SPACES, released_rows

from .errors import WeightsError
from .mapping import StateMapping, register_mapping

State = 'OrderedDict[str, Tensor]'
SPACES = dict(ScanNet='ScanNet20', S3DIS='S3DIS13', Structured3D='Structured3D25', SemanticKITTI='SemanticKITTI19',
              nuScenes='nuScenes16', Waymo='Waymo22')
# What `released_text_bank` notes, so that a head takes converted weights with the bank of such a checkpoint only.
BANK_SOURCE = dict(encoder='CLIP ViT-B/16', checkpoint='class_embedding of a Pointcept checkpoint', templates=['{}'])


def ppt_mapping(conditions: Sequence[str], backbone_conditions: Sequence[str]) -> StateMapping:
    """A mapping of checkpoints whose wrapper and backbone have these ``conditions``, each in its own order.

    The names become the domains of our model. A language-guided one is taken for one with the released order of words,
    so its head needs ``legacy_order`` where it has S3DIS.
    """

    def convert(state: State) -> State:
        # The conversion lives beside the network, and backbones are not imported before someone needs them.
        from pretrain3d.backbones.convert_pointcept import convert_prompted_state_dict
        state = OrderedDict((key[7:] if key.startswith('module.') else key, value) for key, value in state.items())
        backbone = {key[9:]: value for key, value in state.items() if key.startswith('backbone.')}
        embedding = state.get('embedding_table.weight')
        if embedding is None or not backbone:
            raise WeightsError("no 'embedding_table.weight' or no 'backbone.' among the weights: this is no checkpoint "
                               f'of Pointcept\'s Point Prompt Training; its first names are {list(state)[:3]}. If it '
                               'lies deeper in the checkpoint, name its prefix (source)')
        if len(embedding) != len(conditions):
            raise WeightsError(f'the checkpoint has {len(embedding)} domains, the mapping is for {len(conditions)} '
                               f'({", ".join(conditions)}): make one with ppt_mapping(conditions, '
                               'backbone_conditions) of its own names')
        head = _head(state, conditions)
        try:
            converted = convert_prompted_state_dict(backbone, dict(zip(conditions, embedding)), backbone_conditions)
        except ValueError as error:
            raise WeightsError(str(error)) from None
        result = OrderedDict((f'backbone.{key}', value) for key, value in converted.items())
        result.update(head)
        result._metadata = OrderedDict((f'backbone.{path}', entry) for path, entry in converted._metadata.items())
        return result

    return convert


def _head(state: Mapping[str, Tensor], conditions: Sequence[str]) -> Dict[str, Tensor]:
    """The head, by the names that ours have; nothing of a wrapper that is the backbone of another model."""
    if 'proj_head.weight' in state:
        from pretrain3d.heads.language_guided import encode_source
        _released_words(state, conditions)
        scale = float(state['logit_scale'].exp()) if 'logit_scale' in state else 100.
        legacy = sorted(name for name in conditions if SPACES.get(name) in LEGACY_SPACES)
        print_log(f'language-guided weights: the head is LanguageGuidedHead(logit_scale={scale:.4f}, text_bank=<that '
                  f'of tools/convert_weights.py --text-bank>, legacy_order={legacy})', 'current')
        source = dict(BANK_SOURCE, **(dict(legacy_order=legacy) if legacy else {}))
        return {'decode_head.projection.weight': state['proj_head.weight'],
                'decode_head.projection.bias': state['proj_head.bias'],
                'decode_head.text_source': encode_source(source)}
    made = {}
    for number, name in enumerate(conditions):
        weight = state.get(f'seg_heads.{number}.weight')
        if weight is None:
            continue
        wanted = LABEL_SPACES[SPACES[name]].num_classes if name in SPACES else len(weight)
        if len(weight) != wanted:
            raise WeightsError(
                f'seg_heads.{number} has {len(weight)} classes, {name} has {wanted}: the domains of the checkpoint are '
                'others, or in another order; use the mapping of its recipe (pointcept_ppt_indoor: '
                f'{", ".join(INDOOR)}; pointcept_ppt_outdoor: {", ".join(OUTDOOR)}) or make one with ppt_mapping')
        made[f'decode_head.classifiers.{name}.weight'] = weight
        made[f'decode_head.classifiers.{name}.bias'] = state[f'seg_heads.{number}.bias']
    return made


def _released_words(state: Mapping[str, Tensor], conditions: Sequence[str]) -> List[str]:
    """Words of the rows of ``class_embedding``; WeightsError where they are not those of the domains."""
    rows = released_rows()
    kind = 'outdoor' if set(conditions) <= set(OUTDOOR) else 'indoor'
    embedding = state.get('class_embedding')
    if embedding is None or len(embedding) != len(rows[kind]):
        raise WeightsError(
            f'{"no" if embedding is None else len(embedding)} rows in class_embedding, but the {kind} recipes have '
            f'{len(rows[kind])} words: use the mapping of the checkpoint\'s own recipe (pointcept_ppt_indoor or '
            'pointcept_ppt_outdoor); weights trained with other words cannot be told their classes')
    return rows[kind]


def released_text_bank(state: Mapping[str, Tensor]) -> TextBank:
    """The text bank that a language-guided checkpoint was trained with, out of the checkpoint.

    Raises:
        WeightsError: it has none, or not one of the released recipes.
    """
    embedding = state.get('class_embedding', state.get('module.class_embedding'))
    words = {len(texts): texts for texts in released_rows().values()}
    if embedding is None or len(embedding) not in words:
        raise WeightsError(
            f'{"no" if embedding is None else len(embedding)} rows in class_embedding: a text bank is in a '
            f'language-guided checkpoint (PPT-v1m1) of {" or ".join(map(str, words))} words only; a decoupled one '
            'needs none')
    embedding = embedding.double()
    unit = (embedding / embedding.norm(dim=1, keepdim=True)).numpy().astype(np.float32)
    found: Dict[str, np.ndarray] = {}
    for text, row in zip(words[len(embedding)], unit):
        # Outdoors words stand once for each data set that has them, every time with the same vector.
        if np.abs(found.setdefault(fold(text), row) - row).max() > 1e-3:
            raise WeightsError(f'two rows of class_embedding for {text!r} differ: the checkpoint was trained with '
                               'other words than those of its recipe; take the one that the recipe made')
    texts = {fold(text): text for text in words[len(embedding)]}
    return TextBank(tuple(texts.values()), np.stack([found[key] for key in texts]), dict(BANK_SOURCE))


# Orders of the wrapper's conditions, and of those of its backbone, in the released recipes.
INDOOR = ('Structured3D', 'ScanNet', 'S3DIS')
INDOOR_BACKBONE = ('ScanNet', 'S3DIS', 'Structured3D')
OUTDOOR = ('SemanticKITTI', 'nuScenes', 'Waymo')

pointcept_ppt_indoor = register_mapping('pointcept_ppt_indoor')(ppt_mapping(INDOOR, INDOOR_BACKBONE))
pointcept_ppt_outdoor = register_mapping('pointcept_ppt_outdoor')(ppt_mapping(OUTDOOR, OUTDOOR))


@register_mapping('pointcept_msc')
def pointcept_msc(state: State) -> State:
    """Weights of Pointcept's Masked Scene Contrast (MSC-v1m1) to those of ``MaskedSceneContrast``.

    Its layer of normals learns the opposite of the normals, for a wrong sign; it is turned round.
    """
    from pretrain3d.backbones import convert_pointcept_state_dict
    state = OrderedDict((key[7:] if key.startswith('module.') else key, value) for key, value in state.items())
    if 'mask_token' not in state:
        raise WeightsError("no 'mask_token' among the weights: this is no checkpoint of Pointcept's Masked Scene "
                           f'Contrast; its first names are {list(state)[:3]}. The network alone is what the mapping '
                           'pointcept_spunet takes')
    try:
        converted = convert_pointcept_state_dict(
            OrderedDict((key, value) for key, value in state.items() if key.startswith('backbone.')))
    except ValueError as error:
        raise WeightsError(str(error)) from None
    result = OrderedDict((f'backbone.{key}', value) for key, value in converted.items())
    result['heads.msc.mask_token'] = state['mask_token']
    for name, sign in (('color', 1), ('normal', -1)):
        for leaf in ('weight', 'bias'):
            if f'{name}_head.{leaf}' in state:
                result[f'heads.msc.restore.{name}.{leaf}'] = sign * state[f'{name}_head.{leaf}']
    result._metadata = OrderedDict((f'backbone.{path}', entry) for path, entry in converted._metadata.items())
    return result
