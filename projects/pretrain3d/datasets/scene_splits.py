"""Whole scenes or single frames of an outdoor data set, as options of a dataset.

nuScenes' 700 training scenes come as ``train700``, as the 600 that remain when 100 named ones are kept for choosing
settings (``mini600``, ``verify100``), and as 1, 5, 10, 25 or 100 % of the scenes: 7, 35, 70, 175 or 700.
"""
import logging
from pathlib import Path
from typing import Any, FrozenSet, List, Optional, Sequence, Tuple, Union

import numpy as np
from mmengine.logging import print_log

from pretrain3d.files import read_names

from .info_check import InfoFileError
from .scannet_lists import choose_scenes

# Which of nuScenes' training scenes SLidR and its followers keep for choosing settings: numbers of the scenes.
VERIFY100 = frozenset(f'scene-{number:04d}' for number in (
    8, 9, 19, 29, 32, 42, 45, 49, 52, 54, 56, 66, 67, 73, 131, 152, 166, 168, 183, 190, 194, 208, 210, 211, 241, 243,
    248, 259, 260, 261, 287, 292, 297, 305, 306, 350, 352, 358, 361, 365, 368, 377, 388, 391, 395, 413, 427, 428, 438,
    444, 452, 453, 459, 463, 464, 475, 513, 533, 544, 575, 587, 589, 642, 652, 658, 669, 678, 687, 701, 703, 706, 710,
    715, 726, 735, 740, 758, 786, 790, 804, 806, 847, 856, 868, 882, 897, 899, 976, 996, 1012, 1015, 1016, 1018, 1020,
    1024, 1044, 1058, 1094, 1098, 1107))
NAMED = ('train700', 'mini600', 'verify100')
Spec = Union[str, float, Sequence[str]]


def read_share(spec: Any) -> Optional[float]:
    """The share that ``'5%'`` or 0.05 stands for; ``None`` for anything else.

    Raises:
        ValueError: It is not in (0, 1].
    """
    if isinstance(spec, str) and spec.strip().endswith('%'):
        try:
            share = float(spec.strip()[:-1]) / 100
        except ValueError:
            return None
    elif isinstance(spec, (int, float)) and not isinstance(spec, bool):
        share = float(spec)
    else:
        return None
    if not 0 < share <= 1:
        raise ValueError(f'the share {spec!r} is not in (0, 1]: 5 % is 0.05 or \'5%\'')
    return share


def every_nth(names: Sequence[str], share: float) -> List[str]:
    """A fixed share of ``names``, by counting: the n-th, the 2n-th ..., with n = 1 / share; at least one.

    Of nuScenes' training scenes in the order of its scene table, these are the scenes that the released code of SLidR
    trains on: all keyframes of the n-th, 2n-th ... scene. Every n-th keyframe (mmdet3d 0.x: ``load_interval``) is
    another choice, spread over all scenes: that is ``frames``.

    Raises:
        ValueError: 1 / share is no whole number.
    """
    step = round(1 / share)
    if abs(1 / share - step) > 1e-6 * step:
        raise ValueError(f'a share of {share:g} cannot be counted out, for 1 / {share:g} is no whole number; give '
                         'scene_seed to draw the scenes')
    return list(names[min(step, len(names)) - 1::step])


def named_split(name: str, there: Sequence[str]) -> FrozenSet[str]:
    """Scenes of one of :data:`NAMED`; of v1.0-mini, some of whose training scenes validate in v1.0-trainval, where no
    other scenes are ``there``."""
    from nuscenes.utils import splits  # imports the devkit
    mini = set(there) <= {*splits.mini_train, *splits.mini_val}
    train = frozenset(splits.mini_train if mini else splits.train)
    return dict(train700=train, mini600=train - VERIFY100, verify100=train & VERIFY100)[name]


def select_scenes(spec: Spec, names: Sequence[str], seed: Optional[int] = None) -> List[str]:
    """Scenes that the option ``scenes`` selects.

    Args:
        spec: 'train700' (all of training), 'mini600', 'verify100'; a share like '5%' or 0.05, also of a named split:
            'mini600:5%'; a text file with one scene a line; or scene names.
        names: (S,) the scenes there are, in the order of the data set's scene table.
        seed: of a share that is drawn; ``None``: counted out by :func:`every_nth`.

    Returns:
        Chosen names in their order; never empty.

    Raises:
        ValueError: The choice is empty or unknown, or a name of it is not there.
        FileNotFoundError: The file is missing.
    """
    names = list(names)
    share = read_share(spec)
    if isinstance(spec, str) and share is None:
        head, _, tail = spec.partition(':')
        if head in NAMED:
            chosen = named_split(head, names)
            if not chosen & set(names):
                raise ValueError(f'none of the scenes there are is one of {head!r}, which are of the 700 training '
                                 f'scenes of nuScenes; there are {", ".join(names[:3])} ...')
            names = [name for name in names if name in chosen]
            if not tail:
                return names
            share = read_share(tail)
            if share is None:
                raise ValueError(f'scenes={spec!r}: {tail!r} is no share; write {head}:5%')
    if share is not None:
        if not names:
            raise ValueError('there are no scenes to choose from')
        if seed is None:
            return every_nth(names, share)
        drawn = set(choose_scenes(names, share, seed))
        return [name for name in names if name in drawn]
    return _listed(spec, names)


def _listed(spec: Spec, names: Sequence[str]) -> List[str]:
    """The scenes of a list or of a file of names."""
    if isinstance(spec, (str, Path)):
        if not Path(spec).is_file():
            raise FileNotFoundError(f'scenes={spec!r} is none of {NAMED}, no share like \'5%\', and no file with a '
                                    'scene a line')
        source, asked = str(spec), read_names(spec)
    else:
        source, asked = 'scenes', [str(name) for name in spec]
    missing = sorted(set(asked) - set(names))
    if missing or not asked:
        raise ValueError(f'{source} names {len(asked)} scenes, of which {len(missing)} are not there'
                         + (f', first {missing[0]}' if missing else '') + f'; there are {len(names)} scenes, '
                         f'{", ".join(list(names)[:3])} ...: it is a list of another split, or the data are incomplete')
    chosen = set(asked)
    return [name for name in names if name in chosen]


def scene_order(infos: Sequence[dict], source: str) -> List[str]:
    """Scene names of the samples, in the order of the scene table (``scene_index``) where the samples say it.

    Raises:
        InfoFileError: Samples do not say their scene.
    """
    places = {}
    for number, info in enumerate(infos):
        if not info.get('scene_name'):
            raise InfoFileError(f'{source}: sample {number} does not say its scene, so scenes cannot be chosen: run '
                                'tools/data/nuscenes_extras.py on the data folder, which writes scene_name')
        places.setdefault(info['scene_name'], (info.get('scene_index', 0), number))
    return sorted(places, key=places.get)


class SubsetMixin:
    """Options ``scenes`` and ``frames`` for mmdet3d's datasets; stands before them among the base classes.

    Args:
        scenes (str | float | list[str], optional): Which scenes (:func:`select_scenes`). Defaults to None: all.
        frames (str | float, optional): Share of the frames, counted out over the list in its order: the first, the
            (n+1)-th ..., as released code splits SemanticKITTI. Defaults to None: all.
        scene_seed (int, optional): Draw the share of ``scenes`` by this seed. Defaults to None: every n-th scene.
        kwargs: Arguments of the dataset.
    """

    def __init__(self, *args, scenes: Optional[Spec] = None, frames: Union[str, float, None] = None,
                 scene_seed: Optional[int] = None, **kwargs) -> None:
        if frames is not None and read_share(frames) is None:
            raise ValueError(f'{type(self).__name__}: frames={frames!r} is no share; write 0.01 or \'1%\'')
        if scene_seed is not None and scenes is None:
            raise ValueError(f'{type(self).__name__}: scene_seed={scene_seed} draws nothing without scenes')
        self.scenes = scenes
        self.frames = frames
        self.scene_seed = scene_seed
        super().__init__(*args, **kwargs)

    def filter_data(self) -> List[dict]:
        """Samples of the chosen scenes and frames.

        Raises:
            ValueError: None is left.
        """
        infos = super().filter_data()
        if self.scenes is None and self.frames is None:
            return infos
        source = f'{type(self).__name__} with {self.ann_file}'
        count, scenes = len(infos), None
        if self.scenes is not None:
            names = scene_order(infos, source)
            try:
                scenes = select_scenes(self.scenes, names, self.scene_seed)
            except ValueError as error:
                raise ValueError(f'{source}, scenes={self.scenes!r}: {error}') from error
            kept = set(scenes)
            infos = [info for info in infos if info['scene_name'] in kept]
        if self.frames is not None:
            infos = infos[::_step(read_share(self.frames), self.frames)]
        if not infos:
            raise ValueError(f'{source}: no sample is left of {count} by scenes={self.scenes!r}, '
                             f'frames={self.frames!r}')
        which = '' if scenes is None else f', {len(scenes)} of {len(names)} scenes'
        print_log(f'{source}, scenes={self.scenes!r}, frames={self.frames!r}, scene_seed={self.scene_seed}: '
                  f'{len(infos)} of {count} samples{which}', 'current', logging.INFO)
        return infos


def _step(share: float, spec: Any) -> int:
    """n of "every n-th"."""
    step = round(1 / share)
    if abs(1 / share - step) > 1e-6 * step:
        raise ValueError(f'frames={spec!r} cannot be counted out, for 1 / {share:g} is no whole number')
    return step


def count_boxes(infos: Sequence[dict], num_classes: int) -> Tuple[int, ...]:
    """How many boxes of each class the samples' parsed annotations hold."""
    labels = [held['gt_labels_3d'] for info in infos for held in (info.get('ann_info') or info.get('eval_ann_info'), )
              if held]
    flat = np.concatenate(labels) if labels else np.zeros(0, np.int64)
    return tuple(int(number) for number in np.bincount(flat[flat >= 0], minlength=num_classes))
