"""What a sweep consists of: the spec file, and one cell per variant, fraction and seed."""
import ast
import copy
import hashlib
import json
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Tuple


class SweepError(Exception):
    """The sweep cannot be run as asked; the message is one line."""


@dataclass(frozen=True)
class Cell:
    """One run: a variant on a fraction with a seed, in its own folder."""
    variant: str
    fraction: str
    seed: int
    folder: Path
    config: str
    fingerprint: str  # of everything the config says, files it inherits from included
    env: Dict[str, str] = field(default_factory=dict)  # environment variables that the config reads
    metrics: Tuple[str, ...] = ()  # that testing has to give

    @property
    def name(self) -> str:
        """Short name for people."""
        return f'{self.variant}/{self.fraction}/seed_{self.seed}'

    def record(self, name: str) -> Optional[dict]:
        """Read one of the cell's own files (``sweep_cell.json``, ``result.json``), ``None`` where it is absent."""
        path = self.folder / name
        return json.loads(path.read_text()) if path.exists() else None

    def checkpoint(self) -> Optional[Path]:
        """The last whole checkpoint of the training."""
        pointer = self.folder / 'train' / 'last_checkpoint'
        path = Path(pointer.read_text().strip()) if pointer.exists() else None
        return path if path is not None and path.exists() else None

    def state(self) -> str:
        """``'done'``, ``'trained'``, ``'started'`` or ``'new'``."""
        if self.record('result.json'):
            return 'done'
        if (self.folder / 'trained').exists() and self.checkpoint():
            return 'trained'
        return 'started' if self.checkpoint() else 'new'


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(path.name + '.part')
    partial.write_text(text)
    os.replace(partial, path)


def read_spec(path: str) -> dict:
    """Read and check a spec."""
    from mmengine.config import Config
    try:
        spec = Config.fromfile(path, import_custom_modules=False)._cfg_dict.to_dict()
    except Exception as error:
        raise SweepError(f'{path} cannot be read: {type(error).__name__}: {str(error).splitlines()[0]}') from None
    unknown = set(spec) - {'name', 'work_dir', 'metric', 'seeds', 'fractions', 'variants', 'gpus_per_cell'}
    missing = {'name', 'metric', 'seeds', 'variants'} - set(spec)
    if unknown or missing:
        raise SweepError(f'{path}: ' + (f'unknown key {sorted(unknown)[0]!r}' if unknown else
                                        f'key {sorted(missing)[0]!r} is missing'))
    spec['metric'] = [spec['metric']] if isinstance(spec['metric'], str) else list(spec['metric'])
    spec.setdefault('fractions', {'all': {}})
    if not isinstance(spec.setdefault('gpus_per_cell', 1), int) or spec['gpus_per_cell'] < 1:
        raise SweepError(f'{path}: gpus_per_cell is a whole number from 1 on, got {spec["gpus_per_cell"]!r}')
    spec.setdefault('work_dir', f'work_dirs/{spec["name"]}')
    for name, variant in spec['variants'].items():
        if not isinstance(variant, dict) or 'config' not in variant or set(variant) - {
                'config', 'options', 'env', 'metric', 'against'}:
            raise SweepError(f'{path}: variant {name!r} takes config and, if wanted, options, env, metric and against; '
                             f'got {variant!r}')
        variant['config'] = str(Path(path).resolve().parent / variant['config'])
    for name, variant in spec['variants'].items():
        _check_comparison(path, spec, name, variant)
    for name in [*spec['variants'], *spec['fractions']]:
        if '/' in str(name):
            raise SweepError(f'{path}: {name!r} becomes a folder and cannot hold a slash')
    if len(set(spec['seeds'])) < len(spec['seeds']) or not all(isinstance(seed, int) for seed in spec['seeds']):
        raise SweepError(f'{path}: seeds are different whole numbers, got {spec["seeds"]}')
    return spec


def _check_comparison(path: str, spec: dict, name: str, variant: dict) -> None:
    """Make ``metric`` of a variant the list of its metrics, ``against`` metric -> the variant it is compared with."""
    own = variant.setdefault('metric', spec['metric'])
    own = variant['metric'] = [own] if isinstance(own, str) else list(own)
    against = variant.get('against', next(iter(spec['variants'])))
    if not isinstance(against, dict):
        against = {metric: against for metric in own}
    for metric in [*own, *against]:
        if metric not in spec['metric']:
            raise SweepError(f'{path}: variant {name!r} names metric {metric!r}, which is none of {spec["metric"]}')
    for other in against.values():
        if other not in spec['variants']:
            raise SweepError(f'{path}: variant {name!r} is to be compared with {other!r}, which is none of '
                             f'{list(spec["variants"])}')
    variant['against'] = {metric: str(other) for metric, other in against.items()}


def nested(options: dict) -> dict:
    """``{'a.b': 1, 'a.c': 2}`` -> ``{'a': {'b': 1, 'c': 2}}``."""
    tree: dict = {}
    for key, value in options.items():
        *path, leaf = key.split('.')
        if any(part.isdigit() for part in path + [leaf]):
            raise SweepError(f'option {key!r} changes an item of a list; a sweep can only set the whole list')
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[leaf] = {**branch[leaf], **value} if isinstance(value, dict) and leaf in branch else value
    return tree


def with_seed(value, seed: int):
    """A value of an option for one seed: ``'{seed}'`` is the number, and inside a longer string its digits."""
    if isinstance(value, dict):
        return {key: with_seed(item, seed) for key, item in value.items()}
    if isinstance(value, list):
        return [with_seed(item, seed) for item in value]
    if not isinstance(value, str):
        return value
    return seed if value == '{seed}' else value.replace('{seed}', str(seed))


@contextmanager
def environment(variables: Dict[str, str]) -> Iterator[None]:
    """Environment variables for a while: configs read them when they are loaded."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def child_config(base: str, options: dict) -> str:
    """Text of a config that inherits from ``base`` and sets ``options``.

    A child rather than a dump, so that ``ConfigCheckHook`` still sees options that change nothing.
    """
    lines = [f'_base_ = [{base!r}]'] + [f'{key} = {value!r}' for key, value in nested(options).items()]
    text = '\n'.join(lines) + '\n'
    try:
        for line in ast.parse(text).body:
            ast.literal_eval(line.value)
    except (SyntaxError, ValueError):
        raise SweepError(f'options are plain values (numbers, strings, lists, dicts), got {options!r}') from None
    return text


def check_batch(config: str, whole: Mapping, options: dict, gpus: int) -> None:
    """Refuse to train a recipe named ``NxbM`` with other than N x M samples a step, for which its rate is made.

    Samples a step are processes x batch size x accumulated steps. Options that set the rate say that it is meant.
    """
    name = re.search(r'_(\d+)xb(\d+)[-_]', Path(config).name)
    if name is None or 'optim_wrapper.optimizer.lr' in options:
        return
    batch = whole.get('train_dataloader', {}).get('batch_size', 0)
    steps = whole.get('optim_wrapper', {}).get('accumulative_counts', 1)
    wanted = int(name[1]) * int(name[2])
    if gpus * batch * steps != wanted:
        raise SweepError(
            f'{Path(config).name} is made for {name[1]} processes x {name[2]} samples = {wanted} a step, here are '
            f'{gpus} x {batch * steps}: set gpus_per_cell: {name[1]} in the spec, or reach {wanted} by the options '
            'train_dataloader.batch_size or optim_wrapper.accumulative_counts, or set optim_wrapper.optimizer.lr for '
            'another number')


def make_cells(spec: dict) -> List[Cell]:
    """Make the configs of all cells; nothing is written."""
    from mmengine.config import Config
    cells, read = [], {}  # a file reads the same in every fraction
    gpus = spec.get('gpus_per_cell', 1)
    for fraction, added in spec['fractions'].items():
        for variant, entry in spec['variants'].items():
            options = {**(entry.get('options') or {}), **(added or {})}
            for seed in spec['seeds']:
                env = {name: str(value) for name, value in with_seed(entry.get('env') or {}, seed).items()}
                try:
                    key = entry['config'], *sorted(env.items())
                    if key not in read:
                        with environment(env):
                            read[key] = Config.fromfile(entry['config'], import_custom_modules=False)
                    whole = copy.deepcopy(read[key])
                    whole.merge_from_dict(with_seed(options, seed))
                except Exception as error:
                    raise SweepError(f'variant {variant}, fraction {fraction}: {entry["config"]} cannot be used: '
                                     f'{type(error).__name__}: {(str(error).splitlines() or [""])[0]}') from None
                check_batch(entry['config'], whole, options, gpus)
                folder = Path(spec['work_dir']).resolve() / str(variant) / str(fraction) / f'seed_{seed}'
                text = child_config(entry['config'], {**with_seed(options, seed), 'randomness.seed': seed})
                made_of = text + repr(whole.to_dict()) + (f'gpus_per_cell = {gpus}' if gpus > 1 else '')
                fingerprint = hashlib.sha256(made_of.encode()).hexdigest()
                cells.append(Cell(str(variant), str(fraction), seed, folder, text, fingerprint, env,
                                  tuple(entry['metric'])))
    return cells
