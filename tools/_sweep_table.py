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


def summarise(scores: Scores, variants: Sequence[str], fractions: Sequence[str], seeds: Sequence[int],
              metric: str) -> List[dict]:
    """One row per variant and fraction: values by seed, mean, and the difference to the first variant.

    Differences are paired: taken seed by seed, over the seeds that both variants have.
    """
    rows = []
    for fraction in fractions:
        found = {variant: {seed: scores[variant, fraction, seed][metric] for seed in seeds
                           if (variant, fraction, seed) in scores} for variant in variants}
        for variant in variants:
            values = found[variant]
            pairs = [values[seed] - found[variants[0]][seed] for seed in values if seed in found[variants[0]]]
            rows.append(dict(variant=variant, fraction=fraction, metric=metric, values=values,
                             **mean_interval(list(values.values())),
                             difference=None if variant == variants[0] else mean_interval(pairs)))
    return rows


def _number(entry: Optional[Mapping], signed: bool = False) -> str:
    if entry is None or entry['mean'] is None:
        return '–'
    text = f'{entry["mean"]:+.4g}' if signed else f'{entry["mean"]:.4g}'
    return text if entry['half_width'] is None else f'{text} ± {entry["half_width"]:.2g}'


def markdown(name: str, rows: Sequence[dict], planned: int, failed: Sequence[str]) -> str:
    """The table, with a line on what is missing so that a partial sweep cannot pass for a whole one."""
    first = rows[0]['variant'] if rows else ''
    lines = [f'# {name}', '',
             f'Mean ± half width of the {100 * CONFIDENCE:.0f} % t-interval over seeds; the difference to {first} is '
             'paired by seed. The last checkpoint of each run is tested.', '',
             f'| fraction | variant | metric | mean | minus {first} | seeds |', '|---|---|---|---|---|---|']
    for row in rows:
        lines.append(f'| {row["fraction"]} | {row["variant"]} | {row["metric"]} | {_number(row)} | '
                     f'{_number(row["difference"], signed=True)} | {row["n"]} of {planned} |')
    if failed:
        lines += ['', f'Failed: {", ".join(failed)}']
    return '\n'.join(lines) + '\n'
