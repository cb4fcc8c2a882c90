"""Domain prompts: batch norms, injections and attention that depend on the domain of a sample (Point Prompt Training).

``convert`` gives any sparse backbone prompts, ``add_domain`` one more domain, ``fold_domain`` takes them out again.
"""
from .convert import add_domain, convert, find_prompts, fold_domain, prompted_backbone
from .domains import DomainBatch, DomainPrompts
from .injection import CrossAttention, DirectInjection
from .pdnorm import PDNorm, parameter_counts

__all__ = [
    'CrossAttention', 'DirectInjection', 'DomainBatch', 'DomainPrompts', 'PDNorm', 'add_domain', 'convert',
    'find_prompts', 'fold_domain', 'parameter_counts', 'prompted_backbone'
]
