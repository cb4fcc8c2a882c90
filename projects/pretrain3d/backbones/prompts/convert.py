"""Give a sparse backbone domain prompts by walking through its modules; add domains; take the prompts out again."""
import copy
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import torch
from mmdet.models.backbones.resnet import BasicBlock, Bottleneck
from spconv.pytorch import SparseModule
from spconv.pytorch.conv import SparseConvolution
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmdet3d.registry import MODELS

from ..blocks import SparseBasicBlock
from .domains import DomainPrompts
from .injection import ADAPTER, Adapter, CrossAttention, DirectInjection
from .pdnorm import PDNorm

# Children of the backbones (SpUNet and SRUNet, mmdet3d's MinkUNet, its SparseEncoder) that make a part of the network.
PARTS = dict(
    initial=('stem', 'conv_input'),
    encoder=('down', 'enc', 'encoder', 'encoder_layers', 'conv_out'),
    decoder=('up', 'dec', 'decoder'))
STAGES = ('enc', 'dec', 'encoder', 'decoder', 'encoder_layers')
ADAPTERS = ('norm', 'injection', 'attention', 'none')


def convert(model: nn.Module, domains: Sequence[str], adapter: str = 'norm', scope: Union[str, Sequence[str]] = 'all',
            channels: int = 256, zero_init: bool = True, shared_prompt: bool = True, **adapter_cfg) -> nn.Module:
    """Give ``model`` domain prompts, in place. With ``zero_init`` it computes what it did before, in every domain.

    ``model(sparse)`` takes the domains from ``sparse['domains']`` (one name per sample); any other call has to be
    inside ``with model.prompts.use(names)``. Samples of several domains may share a batch.

    Args:
        model: SpUNet, SRUNet, SparseMinkUNet, mmdet3d's SparseEncoder, or any module of spconv layers.
        domains: their names.
        adapter: 'norm': :class:`PDNorm` for every batch norm. 'injection': :class:`DirectInjection` before every
            residual block. 'attention': :class:`CrossAttention` before every stage. 'none': the model stays; it knows
            its domains, for heads by domain, and its prompts are not trained.
        scope: 'all', or 'initial', 'encoder', 'decoder' (one or several), or names of children of the model. Outside
            of it batch norms stay plain: their statistics are of all domains together.
        channels: length of a prompt.
        zero_init: whether the maps of the prompt start as 0.
        shared_prompt: whether one prompt of each domain is for the whole network. False: every block has its own,
            which the paper found worse (Table 14b). It does not say what a block is; here it is a residual block with
            all its norms, the one on its shortcut too, and outside of those every norm, so each layer that goes in,
            down or up. Injection has one for every residual block, attention one for every stage.
        adapter_cfg: further arguments of the adapter, ``tokens`` and ``width`` of the attention.

    Returns:
        ``model``, whose new child ``prompts`` is a :class:`DomainPrompts`.

    Raises:
        ValueError: an unknown adapter or scope, nothing to adapt in it, a model that has prompts already, or prompts
            for each block that no adapter reads.
    """
    if adapter not in ADAPTERS:
        raise ValueError(f'adapter must be one of {ADAPTERS}, got {adapter!r}')
    if any(isinstance(module, DomainPrompts) for module in model.modules()):
        raise ValueError('the model has domain prompts already; add_domain gives it one more')
    found = _sites(model, adapter, scope)
    if not (found or shared_prompt):
        raise ValueError("shared_prompt=False gives every block a prompt, but adapter='none' reads none: choose "
                         'another adapter, or leave shared_prompt out')
    blocks: List[Optional[int]] = [None] * len(found)
    if not shared_prompt:
        blocks = _number_blocks(model, [module for _, _, module in found])
    prompts = DomainPrompts(domains, channels, None if shared_prompt else max(blocks) + 1)
    if adapter == 'none':
        prompts.requires_grad_(False)  # nobody reads them, and distributed training waits for all that is trained
    elif adapter == 'norm':
        for (parent, name, module), block in zip(found, blocks):
            setattr(parent, name, PDNorm.of(module, prompts, zero_init, block, **adapter_cfg))
    else:
        kind = DirectInjection if adapter == 'injection' else CrossAttention
        _add_adapters(model, prompts, [module for _, _, module in found], blocks,
                      lambda width, block: kind(width, prompts, zero_init, block=block, **adapter_cfg))
    like = next(model.parameters())
    model.add_module('prompts', prompts.to(like).train(model.training))
    _follow(model, prompts)
    return model


@MODELS.register_module(name='PromptedBackbone')
def prompted_backbone(backbone: Dict, domains: Sequence[str], adapter: str = 'norm',
                      scope: Union[str, Sequence[str]] = 'all', channels: int = 256, zero_init: bool = True,
                      shared_prompt: bool = True, **adapter_cfg) -> nn.Module:
    """Build ``backbone`` from its config and :func:`convert` it; its parameters keep their names."""
    return convert(MODELS.build(backbone), domains, adapter, scope, channels, zero_init, shared_prompt, **adapter_cfg)


def find_prompts(model: nn.Module) -> DomainPrompts:
    """The prompts of a converted model, or of the converted one inside it. ValueError: there are none, or several."""
    found = [module for module in model.modules() if isinstance(module, DomainPrompts)]
    if len(found) != 1:
        raise ValueError(f'{type(model).__name__} has {len(found)} sets of domain prompts, one is needed: `convert` '
                         'gives a backbone its prompts (PromptedBackbone in a config)')
    return found[0]


@torch.no_grad()
def add_domain(model: nn.Module, name: str, like: Union[str, Sequence[str]] = 'mean') -> None:
    """Add a domain to a converted model, before its optimiser is built.

    Args:
        model: converted, or with a converted one inside.
        name: of the new domain.
        like: a domain of the model, several, or 'mean' (all): the prompt starts as their mean, the running statistics
            as those of an equal mixture.
    """
    prompts = find_prompts(model)
    like = prompts.names if like == 'mean' else (like,) if isinstance(like, str) else tuple(like)
    for each in like:
        prompts.check(each)
    prompts.add(name, torch.stack([prompts.vectors[each] for each in like]).mean(0))
    for module in model.modules():
        if isinstance(module, PDNorm):
            module.add_domain(name, like)


def fold_domain(model: nn.Module, name: str) -> nn.Module:
    """A copy of a converted model with plain batch norms that computes what the model does for the domain ``name``.

    Its state dict has the keys of the model before :func:`convert`, for stock models. The model itself stays.

    Raises:
        UnknownNameError: no such domain. ValueError: adapters other than norms, which no plain network has.
    """
    find_prompts(model).check(name)
    if any(isinstance(module, Adapter) for module in model.modules()):
        raise ValueError("fold_domain folds prompts into batch norms (adapter='norm'); injection and attention have no "
                         'place in a plain network')
    model = copy.deepcopy(model)
    prompts = find_prompts(model)
    for handle in prompts.handles:
        handle.remove()
    for parent in list(model.modules()):
        for child, module in list(parent.named_children()):
            if isinstance(module, PDNorm):
                setattr(parent, child, module.fold(name))
            elif module is prompts:
                delattr(parent, child)
    return model


def _follow(model: nn.Module, prompts: DomainPrompts) -> None:
    """Hooks by which the prompts know the batch and the grid that the model is at."""
    prompts.handles.append(model.register_forward_pre_hook(prompts.enter))
    prompts.handles.append(model.register_forward_hook(prompts.leave, always_call=True))
    for module in model.modules():
        if module is model or isinstance(module, (PDNorm, DomainPrompts, Adapter)):
            continue
        if isinstance(module, SparseModule) and not isinstance(module, (BasicBlock, Bottleneck)):
            prompts.handles.append(module.register_forward_hook(prompts.follow_output))
        if next(module.children(), None) is not None:
            prompts.handles.append(module.register_forward_pre_hook(prompts.follow_input))


def _add_adapters(model: nn.Module, prompts: DomainPrompts, sites: Sequence[nn.Module],
                  blocks: Sequence[Optional[int]], make: Callable[[int, Optional[int]], Adapter]) -> None:
    """Adapters before the modules ``sites``: child ``adapters`` of the model (a sequential container would run a child
    of its own as a layer)."""
    names = {id(module): name for name, module in model.named_modules()}
    model.add_module('adapters', nn.ModuleDict())
    for site, block in zip(sites, blocks):
        made = make(_width(site), block).to(next(site.parameters()))
        model.adapters[names[id(site)].replace('.', '_')] = made
        site.__dict__[ADAPTER] = made
        prompts.handles.append(site.register_forward_pre_hook(made.before))


def _in_scope(model: nn.Module, scope: Union[str, Sequence[str]]) -> List[Tuple[Optional[str], nn.Module]]:
    """(name, child) of the model's children in the scope; (None, model) for all of it."""
    if scope == 'all':
        return [(None, model)]
    names = (scope,) if isinstance(scope, str) else tuple(scope)
    children = dict(model.named_children())
    found = []
    for name in names:
        own = [child for child in PARTS.get(name, (name,)) if child in children]
        if not own:
            raise ValueError(f"scope {name!r} of {type(model).__name__} is empty: use 'all', one of {tuple(PARTS)}, or "
                             f'one of its children {tuple(children)}')
        found += [(child, children[child]) for child in own]
    return found


Site = Tuple[nn.Module, str, nn.Module]


def _sites(model: nn.Module, adapter: str, scope: Union[str, Sequence[str]]) -> List[Site]:
    """(parent, name, module) of all that the adapter changes; nothing for 'none'."""
    if adapter == 'none':
        return []
    find = dict(norm=_norms, injection=_blocks, attention=_stages)[adapter]
    found = [site for root, part in _in_scope(model, scope) for site in find(model, root, part)]
    if not found:
        raise ValueError(f'nothing to adapt by {adapter!r} in scope {scope!r} of {type(model).__name__}; its children '
                         f'are {[name for name, _ in model.named_children()]}')
    return found


def _is_block(module: nn.Module) -> bool:
    """Whether this is a residual block."""
    return isinstance(module, SparseBasicBlock) or (isinstance(module, SparseModule)
                                                    and isinstance(module, (BasicBlock, Bottleneck)))


def _number_blocks(model: nn.Module, modules: Sequence[nn.Module]) -> List[int]:
    """The number, in order of appearance, of the block of each module: the residual block around it, or itself."""
    around = {id(inner): id(block) for block in model.modules() if _is_block(block) for inner in block.modules()}
    numbers: Dict[int, int] = {}
    return [numbers.setdefault(around.get(id(module), id(module)), len(numbers)) for module in modules]


def _norms(model: nn.Module, root: Optional[str], part: nn.Module) -> Iterator[Site]:
    """Every batch norm of a part of the model."""
    for parent in list(part.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, _BatchNorm):
                yield parent, name, module
    if isinstance(part, _BatchNorm) and root is not None:
        yield model, root, part


def _blocks(model: nn.Module, root: Optional[str], part: nn.Module) -> Iterator[Site]:
    """Every residual block."""
    for parent in list(part.modules()):
        for name, module in list(parent.named_children()):
            if _is_block(module):
                yield parent, name, module


def _stages(model: nn.Module, root: Optional[str], part: nn.Module) -> Iterator[Site]:
    """Every stage of encoder and decoder."""
    parts = [(root, part)] if root is not None else list(model.named_children())
    for child, stages in parts:
        if child in STAGES:
            for name, stage in stages.named_children():
                # A stage of mmdet3d's decoder is a list: the layer up, and the blocks after the concatenation.
                yield (stage, '1', stage[1]) if isinstance(stage, nn.ModuleList) else (stages, name, stage)


def _width(module: nn.Module) -> int:
    """Channels of the sparse tensor that a block or stage gets."""
    return next(each for each in module.modules() if isinstance(each, SparseConvolution)).in_channels
