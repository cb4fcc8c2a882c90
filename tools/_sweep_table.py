"""Means, intervals and paired differences of a sweep, as one markdown table and the same in JSON."""
import math
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from scipy import stats

Scores = Mapping[Tuple[str, str, int], Mapping[str, float]]  # (variant, fraction, seed) -> metric -> value
CONFIDENCE = 0.95


def mean_interval(values: Sequence[float]) -> Dict[str, Optional[float]]:
    """Mean and half width of its t-interval (``None`` for fewer than two values).

    The half width is t(0.975, n-1) s / sqrt(n) with s the sample deviation (n-1 in its denominator).
    """
    count = len(values)
    if not count:
        return dict(mean=None, half_width=None, n=0)
    mean = math.fsum(values) / count
    if count == 1:
        return dict(mean=mean, half_width=None, n=1)
    deviation = math.sqrt(math.fsum((value - mean)**2 for value in values) / (count - 1))
    quantile = float(stats.t.ppf(.5 + CONFIDENCE / 2, count - 1))
    return dict(mean=mean, half_width=quantile * deviation / math.sqrt(count), n=count)


def summarise(scores: Scores, variants: Mapping[str, str], fractions: Sequence[str], seeds: Sequence[int],
              metric: str) -> List[dict]:
    """One row per variant and fraction: values by seed, mean, and the difference to another variant.

    Differences are paired: taken seed by seed, over the seeds that both variants have. ``variants`` says of each to
    which one its difference is taken (to itself: none).
    """
    rows = []
    for fraction in fractions:
        found = {variant: {seed: scores[variant, fraction, seed][metric] for seed in seeds
                           if (variant, fraction, seed) in scores} for variant in variants}
        for variant, other in variants.items():
            values, others = found[variant], found.get(other, {})
            pairs = [values[seed] - others[seed] for seed in values if seed in others]
            rows.append(dict(variant=variant, fraction=fraction, metric=metric, values=values, against=other,
                             **mean_interval(list(values.values())),
                             difference=None if variant == other else mean_interval(pairs)))
    return rows


def _number(entry: Optional[Mapping], signed: bool = False) -> str:
    if entry is None or entry['mean'] is None:
        return '–'
    text = f'{entry["mean"]:+.4g}' if signed else f'{entry["mean"]:.4g}'
    return text if entry['half_width'] is None else f'{text} ± {entry["half_width"]:.2g}'


def markdown(name: str, rows: Sequence[dict], planned: int, failed: Sequence[str]) -> str:
    """The table, with a line on what is missing so that a partial sweep cannot pass for a whole one."""
    lines = [f'# {name}', '',
             f'Mean ± half width of the {100 * CONFIDENCE:.0f} % t-interval over seeds; differences are paired by '
             'seed. The last checkpoint of each run is tested.', '',
             '| fraction | variant | metric | mean | difference | seeds |', '|---|---|---|---|---|---|']
    for row in rows:
        difference = _number(row['difference'], signed=True)
        to = '' if difference == '–' else f' to {row["against"]}'
        lines.append(f'| {row["fraction"]} | {row["variant"]} | {row["metric"]} | {_number(row)} | '
                     f'{difference}{to} | {row["n"]} of {planned} |')
    if failed:
        lines += ['', f'Failed: {", ".join(failed)}']
    return '\n'.join(lines) + '\n'
