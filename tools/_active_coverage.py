"""How many distinct objects lists of labelled vertices reach, as numbers, a table and a plot."""
import io
from pathlib import Path
from statistics import mean, stdev
from typing import Dict, List, Sequence, Tuple

import numpy as np

from _active_lists import ActiveLabelError, Scan, read_lists
from pretrain3d.contrastive_scene_contexts.active_labelling import countable_objects, objects_hit
from pretrain3d.files import write_atomic

STUFF = (1, 2)  # wall and floor by NYU40 id
# Method -> labels per scan -> distinct objects reached, one number for each repetition.
Hits = Dict[str, Dict[int, List[int]]]


def count_objects(scans: Sequence[Scan], folders: Sequence[Tuple[str, Path]],
                  with_stuff: bool) -> Tuple[Hits, int, int]:
    """Distinct objects that the lists of each (method, folder) reach, summed over the labelled scans.

    Returns:
        The hits, all objects, and how many scans were left out because they have no labels.
    """
    labelled = [scan for scan in scans if scan.labelled]
    if not labelled:
        raise ActiveLabelError(f'none of the {len(scans)} scans has instance labels, so objects cannot be counted; '
                               'choose a labelled --split')
    lists = [(method, folder, read_lists(folder, labelled)) for method, folder in folders]
    sums = [dict.fromkeys(by_count, 0) for _, _, by_count in lists]
    total = 0
    for scan in labelled:
        instance = scan.labels('instance_mask')
        objects = countable_objects(instance) if with_stuff else countable_objects(
            instance, scan.labels('semantic_mask'), STUFF)
        total += len(objects)
        for (_, folder, by_count), added in zip(lists, sums):
            for count, by_scan in by_count.items():
                rows = by_scan[scan.name]
                if rows.max(initial=-1) >= len(instance):
                    raise ActiveLabelError(f'{folder}/points{count}.npz lists vertex {rows.max()} of {scan.name}, '
                                           f'which has {len(instance)}: the list is of another mesh')
                added[count] += objects_hit(instance, rows, objects)
    hits: Hits = {}
    for (method, _, _), added in zip(lists, sums):
        for count, number in added.items():
            hits.setdefault(method, {}).setdefault(count, []).append(number)
    return hits, total, len(scans) - len(labelled)


def counts_of(hits: Hits) -> List[int]:
    """All numbers of labels, ascending."""
    return sorted({count for by_count in hits.values() for count in by_count})


def markdown(hits: Hits, total: int) -> str:
    """Methods by labels: share of the objects reached, with its standard deviation where lists were repeated."""
    counts = counts_of(hits)
    lines = ['| objects reached | ' + ' | '.join(f'{count} labels' for count in counts) + ' |',
             '|---|' + '---|' * len(counts)]
    for method, by_count in hits.items():
        cells = []
        for count in counts:
            shares = [100 * number / max(total, 1) for number in by_count.get(count, [])]
            spread = f' ± {stdev(shares):.1f} ({len(shares)})' if len(shares) > 1 else ''
            cells.append(f'{mean(shares):.1f} %{spread}' if shares else '')
        lines.append(f'| {method} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def plot(hits: Hits, total: int, path: Path, title: str) -> None:
    """The same as a picture: labels per scan to the right, share of the objects upwards."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(figsize=(7, 4.2))
    for method, by_count in hits.items():
        x = sorted(by_count)
        shares = [np.array(by_count[count]) * 100 / max(total, 1) for count in x]
        y, spread = [s.mean() for s in shares], [s.std(ddof=1) if len(s) > 1 else 0 for s in shares]
        axes.errorbar(x, y, yerr=spread, marker='o', capsize=3, label=method)
    axes.set(xlabel='labels per scan', ylabel='distinct objects reached (%)', title=title, ylim=(0, 104),
             xticks=counts_of(hits))
    axes.grid(alpha=0.3)
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=150, bbox_inches='tight', format='png')
    plt.close(figure)
    write_atomic(path, buffer.getvalue())
