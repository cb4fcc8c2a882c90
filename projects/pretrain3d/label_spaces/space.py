"""What a label space is: class names in label order, colours, and the map from a dataset's raw label ids."""
from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Dict, Iterable, List, Optional, Tuple

import numpy as np

Colour = Tuple[int, int, int]


class UnknownNameError(KeyError, ValueError):
    """A class or label space that does not exist; the message names the nearest one and where the list is."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ''  # KeyError would show the message in quotes


def unknown(kind: str, name: str, known: Iterable[str], look: str) -> UnknownNameError:
    """The error for ``name``, which is none of ``known``; ``look`` says where to find the whole list."""
    original = {each.lower(): each for each in known}
    nearest = difflib.get_close_matches(name.lower(), original, 1, 0.5) if isinstance(name, str) else []
    hint = f'; did you mean {original[nearest[0]]!r}?' if nearest else '.'
    return UnknownNameError(f'unknown {kind} {name!r}{hint} The list: {look}')


def fold(name: str) -> str:
    """Spelling under which class names are compared: lower case, without spaces, '_' and '-'."""
    return re.sub(r'[\s_-]+', '', name.lower())


@dataclass(frozen=True)
class LabelSpace:
    """Classes of one labelled dataset; label ``i`` is ``classes[i]`` and ``num_classes`` means "ignore".

    Attributes:
        name: name of the label space, for instance ``'ScanNet20'``.
        classes: class names in label order.
        palette: one (red, green, blue) of 0 ... 255 for each class.
        raw_pairs: (raw id, index) for every raw id that has a class; all other raw ids are ignored.
        aliases: (other spelling, class name). Case, spaces, '_' and '-' never matter and need no alias.
        mmdet3d_classes: the names by which mmdet3d's dataset of these classes knows them, where it has one and
            spells them differently. They are accepted as aliases.
    """
    name: str
    classes: Tuple[str, ...]
    palette: Tuple[Colour, ...]
    raw_pairs: Tuple[Tuple[int, int], ...] = ()
    aliases: Tuple[Tuple[str, str], ...] = ()
    mmdet3d_classes: Optional[Tuple[str, ...]] = None

    def __post_init__(self) -> None:
        count = len(self.classes)
        if len(set(map(fold, self.classes))) != count:
            raise ValueError(f'{self.name}: two classes have the same name up to case and separators')
        if len(self.palette) != count:
            raise ValueError(f'{self.name}: {count} classes but {len(self.palette)} colours')
        if any(len(colour) != 3 or not all(0 <= part <= 255 for part in colour) for colour in self.palette):
            raise ValueError(f'{self.name}: every colour must be three integers of 0 ... 255')
        if len(dict(self.raw_pairs)) != len(self.raw_pairs):
            raise ValueError(f'{self.name}: a raw id occurs twice')
        if any(raw < 0 or not 0 <= index < count for raw, index in self.raw_pairs):
            raise ValueError(f'{self.name}: raw ids must be >= 0 and map to indices of 0 ... {count - 1}')
        if self.mmdet3d_classes is not None and len(self.mmdet3d_classes) != count:
            raise ValueError(f'{self.name}: {count} classes but {len(self.mmdet3d_classes)} mmdet3d names')
        clash = [alias for alias, index in self._extra_names() if self._own_names.get(fold(alias), index) != index]
        if clash:
            raise ValueError(f'{self.name}: alias {clash[0]!r} is another class')

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def ignore_index(self) -> int:
        """Label of everything that has no class; always ``num_classes``."""
        return len(self.classes)

    @property
    def raw_to_index(self) -> Dict[int, int]:
        """Raw id -> index for every raw id that has a class; a new dict at every call."""
        return dict(self.raw_pairs)

    def index(self, name: str) -> int:
        """Label of the class ``name``, in any case, with any separators, or by an alias.

        Raises:
            UnknownNameError: (a KeyError and a ValueError) no such class; the nearest one is named.
        """
        found = self._names.get(fold(name)) if isinstance(name, str) else None
        if found is None:
            raise unknown(f'class of {self.name}', name, [*self.classes, *dict(self._extra_names())],
                          f'get_label_space({self.name!r}).classes')
        return found

    def indices(self, names: Iterable[str]) -> List[int]:
        """:meth:`index` of every name."""
        if isinstance(names, str):
            raise TypeError(f'names must be a sequence of class names, got the single string {names!r}')
        return [self.index(name) for name in names]

    def map_raw(self, raw: Any) -> np.ndarray:
        """Labels of raw ids, by one table look-up.

        Args:
            raw: integers of any shape and dtype. SemanticKITTI's files hold the instance in the upper 16 bits:
                pass ``raw & 0xFFFF``.

        Returns:
            int64 of the same shape; ``ignore_index`` for raw ids without a class, negative ones included.

        Raises:
            TypeError: ``raw`` does not hold integers.
            ValueError: this label space has no raw ids.
        """
        array = np.asarray(raw)
        if array.dtype.kind not in 'iu' and array.size:
            raise TypeError(f'raw must hold integers, got {array.dtype}')
        if not self.raw_pairs:
            raise ValueError(f'{self.name} has no raw ids: its annotations carry class names, use index(name)')
        table = self._raw_table
        last = len(table) - 1  # one beyond the largest raw id: ignored
        return table[np.where((array >= 0) & (array < last), array, last).astype(np.int64)]

    def metainfo(self, own_names: bool = False) -> Dict[str, Any]:
        """Meta information in the form of mmdet3d's datasets, a new dict at every call (they write into it).

        Args:
            own_names: give ``classes`` even where mmdet3d's dataset spells them otherwise; its ``Seg3DDataset``
                refuses classes that it does not know by its own spelling.

        Returns:
            ``classes``, ``palette``, ``label2cat``, ``ignore_index``. With raw ids also ``max_label`` and
            ``seg_label_mapping``, which lists every id up to it (SemanticKittiDataset takes missing ids for class 0).
            With one raw id for each class also ``seg_valid_class_ids`` and ``seg_all_class_ids``.
        """
        classes = self.classes if own_names or self.mmdet3d_classes is None else self.mmdet3d_classes
        info: Dict[str, Any] = dict(classes=tuple(classes), palette=[list(colour) for colour in self.palette],
                                    label2cat=dict(enumerate(classes)), ignore_index=self.ignore_index)
        if self.raw_pairs:
            mapping = dict(enumerate(self._raw_table[:-1].tolist()))
            info.update(seg_label_mapping=mapping, max_label=len(mapping) - 1)
            if len(self.raw_pairs) == self.num_classes == len({index for _, index in self.raw_pairs}):
                valid = sorted(self.raw_pairs, key=lambda pair: pair[1])
                info.update(seg_valid_class_ids=tuple(raw for raw, _ in valid), seg_all_class_ids=tuple(mapping))
        return info

    def _extra_names(self) -> List[Tuple[str, int]]:
        """(spelling, index) of all aliases and mmdet3d names."""
        extra = [(alias, self._own_names[fold(name)]) for alias, name in self.aliases]
        return extra + [(name, index) for index, name in enumerate(self.mmdet3d_classes or ())]

    @cached_property
    def _own_names(self) -> Dict[str, int]:
        return {fold(name): index for index, name in enumerate(self.classes)}

    @cached_property
    def _names(self) -> Dict[str, int]:
        return {**{fold(alias): index for alias, index in self._extra_names()}, **self._own_names}

    @cached_property
    def _raw_table(self) -> np.ndarray:
        """Index of every raw id up to the largest one, and one more entry that is ignored."""
        table = np.full(max(raw for raw, _ in self.raw_pairs) + 2, self.ignore_index, np.int64)
        for raw, index in self.raw_pairs:
            table[raw] = index
        return table
