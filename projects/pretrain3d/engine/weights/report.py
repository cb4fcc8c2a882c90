"""What became of every tensor in a weight transfer."""
from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, List, Sequence, Tuple

SHOWN = 6  # examples per row of the table


@dataclass
class Report:
    """Outcome of a weight transfer; keys are relative to the target module.

    Attributes:
        checkpoint: File the weights came from.
        source: Prefix in the checkpoint.
        target: Prefix in the model.
        matched: Keys that were (or will be) loaded.
        missing: Keys of the target that the checkpoint lacks.
        unexpected: Keys of the source that the target lacks.
        mismatched: Key -> (shape in the model, shape in the checkpoint).
        values: Number of values in the matched tensors.
        outside: Tensors of the checkpoint outside the source prefix.
        layout: spconv layout of the checkpoint's kernels, empty where the target has none.
        min_matched: Fraction that was asked for.
        made: In words, what was made -> those matched keys that the checkpoint did not hold.
        prefixes: Where the checkpoint's tensors lie, to help when nothing matched.
    """
    checkpoint: str
    source: str
    target: str
    matched: List[str] = field(default_factory=list)
    missing: List[str] = field(default_factory=list)
    unexpected: List[str] = field(default_factory=list)
    mismatched: Dict[str, Tuple[Tuple[int, ...], Tuple[int, ...]]] = field(default_factory=dict)
    values: int = 0
    outside: int = 0
    layout: str = ''
    min_matched: float = 0.
    prefixes: Dict[str, int] = field(default_factory=dict)
    made: Dict[str, List[str]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Tensors that the target wants (batch norm's counters of steps are loaded but not counted)."""
        return len(self.matched) + len(self.missing) + len(self.mismatched)

    @property
    def fraction(self) -> float:
        """Matched tensors over the target's tensors, in [0, 1]."""
        return len(self.matched) / self.total if self.total else 0.

    @property
    def enough(self) -> bool:
        """Whether the transfer reached ``min_matched``; an empty target never does."""
        return self.total > 0 and self.fraction >= self.min_matched

    def table(self) -> str:
        """The report as a compact plain-text table."""
        shapes = [f'{key} {target} <- {source}' for key, (target, source) in self.mismatched.items()]
        rows = [('matched', self.matched, _grouped(self.matched)), ('missing', self.missing, _grouped(self.missing)),
                ('unexpected', self.unexpected, _grouped(self.unexpected)), ('mismatched', self.mismatched, shapes)]
        lines = [f'weights {self.checkpoint}',
                 f'{self.source or "(all)"} -> {self.target or "(all)"}: {len(self.matched)} of {self.total} tensors '
                 f'({100 * self.fraction:.1f} %, at least {100 * self.min_matched:.1f} % wanted), '
                 f'{self.values:,} values' + (f', spconv {self.layout} kernels' if self.layout else '')]
        lines += [f'  {name:<10} {len(keys):>5}  {_shortened(examples)}' for name, keys, examples in rows]
        lines += [f'  {"new domain":<10} {len(keys):>5}  of those matched, {words}: {_shortened(keys)}'
                  for words, keys in self.made.items()]
        if self.outside:
            lines.append(f'  {"not taken":<10} {self.outside:>5}  outside {self.source}')
        if not self.matched and self.prefixes:
            found = ', '.join(f'{name} ({count})' for name, count in self.prefixes.items())
            lines.append(f'  the checkpoint holds: {found}')
        return '\n'.join(lines)


def _shortened(examples: Sequence[str]) -> str:
    """The first few."""
    more = len(examples) - SHOWN
    return ', '.join(examples[:SHOWN]) + (f', and {more} more' if more > 0 else '')


def _grouped(keys: Sequence[str]) -> List[str]:
    """Keys, or their first two path parts with counts when there are many."""
    if len(keys) <= SHOWN:
        return list(keys)
    return [f'{name}.* ({count})' for name, count in Counter('.'.join(key.split('.')[:2]) for key in keys).items()]


def top_prefixes(keys: Sequence[str], limit: int = 12) -> Dict[str, int]:
    """First path parts of the keys with their counts, most frequent first."""
    return dict(Counter(key.split('.')[0] for key in keys).most_common(limit))
