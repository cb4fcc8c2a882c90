"""pretrain3d: pre-training of 3D backbones as an MMDetection3D 1.4 plugin.

``custom_imports = dict(imports=['pretrain3d'])`` in a config is all that is needed: importing the package mends what
the stack cannot do without a GPU or with a newer torch (``engine.compat``) and then registers every class straight
into ``mmdet3d.registry``.

Light tools (those that only draw or convert data) set ``PRETRAIN3D_LIGHT=1`` before the import, so that they do not
wait ten seconds for mmdet3d; :func:`register_all` can then be called later by hand.
"""
import importlib
import os
import warnings

__version__ = '0.1.0'

# Subpackages that register something, in the order in which imports may point at each other.
ROOMS = ('label_spaces', 'ops', 'backbones', 'heads', 'datasets', 'pretext', 'contrastive_scene_contexts',
         'point_prompt_training', 'segmentors', 'evaluation', 'engine')


def register_all() -> None:
    """Mend the stack, then import every room so that its classes are in mmdet3d's registries."""
    importlib.import_module('.engine.compat', __name__).apply()
    for room in ROOMS:
        try:
            importlib.import_module(f'.{room}', __name__)
        except ModuleNotFoundError as error:
            if (error.name or '').split('.')[0] != 'spconv':
                raise
            # mmdet3d does without it as well; whoever only moves weights or reads data does not need it.
            warnings.warn(f'spconv is not installed: what pretrain3d.{room} holds is not registered. Install the wheel '
                          "of your CUDA version, e.g. `pip install spconv-cu120`, for pretrain3d's sparse networks")


if os.environ.get('PRETRAIN3D_LIGHT', '') in ('', '0'):
    register_all()
