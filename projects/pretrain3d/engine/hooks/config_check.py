"""A hook that stops a run whose config says something nobody reads."""
import ast
import difflib
import inspect
import os.path as osp
import re
from dataclasses import dataclass, field
from typing import Any, Dict, FrozenSet, List, Sequence, Set

import mmengine
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import FlexibleRunner, Runner

from mmdet3d.registry import HOOKS

# Read from the config by mmengine or by mmdet3d's train.py and test.py, beside the arguments of the runners.
READ_BESIDE = frozenset((
    '_base_', 'activation_checkpointing', 'compile', 'custom_imports', 'efficient_conv_bn_eval',
    'find_unused_parameters', 'gpu_ids', 'init_weights_for_test_or_val', 'model_wrapper_cfg',
    'runner_type', 'sync_bn', 'tta_model', 'tta_pipeline'))


def runtime_keys() -> FrozenSet[str]:
    """Top-level keys that a run reads from its config."""
    arguments: Set[str] = set()
    for runner_type in (Runner, FlexibleRunner):
        arguments |= set(inspect.signature(runner_type.__init__).parameters)
    return (arguments - {'self', 'cfg'}) | READ_BESIDE


@dataclass
class ConfigFile:
    """One file of a config's inheritance tree.

    Attributes:
        path: The file.
        foreign: Whether it belongs to an installed package rather than to the user.
        assigned: Names it assigns at top level -> the names that the assigned expressions read.
        read: Names that it reads anywhere.
        read_from_base: Names that it reads as ``_base_.name`` or ``{{_base_.name}}``.
        bases: The files it inherits from.
    """
    path: str
    foreign: bool
    assigned: Dict[str, Set[str]] = field(default_factory=dict)
    read: Set[str] = field(default_factory=set)
    read_from_base: Set[str] = field(default_factory=set)
    bases: List['ConfigFile'] = field(default_factory=list)

    def ancestors(self) -> List['ConfigFile']:
        """Every file this one inherits from, directly or not."""
        return [file for base in self.bases for file in [base] + base.ancestors()]


def _names(node: ast.AST, context: type) -> Set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, context)}


def _statements(body: Sequence[ast.stmt]) -> List[ast.stmt]:
    """Statements that run at top level, those inside ``if``, ``for``, ``with`` and ``try`` among them."""
    found = []
    for statement in body:
        if not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            found.append(statement)
            for part in ('body', 'orelse', 'finalbody'):
                found += _statements(getattr(statement, part, []))
    return found


def read_config_file(path: str, foreign: bool = False) -> ConfigFile:
    """Read the names in a config file and, recursively, in its bases; nothing is executed."""
    file = ConfigFile(path, foreign or '.mim' in osp.normpath(path).split(osp.sep))
    with open(path, encoding='utf-8') as stream:
        text = stream.read()
    file.read_from_base = set(re.findall(r'_base_\.(\w+)', text))
    if path.endswith('.py'):
        tree = ast.parse(text)
        file.read = _names(tree, ast.Load)
        for statement in _statements(tree.body):
            if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For)):
                source = statement.iter if isinstance(statement, ast.For) else statement.value
                targets = getattr(statement, 'targets', None) or [statement.target]
                for name in set().union(*(_names(target, ast.Store) for target in targets)):
                    file.assigned.setdefault(name, set()).update(_names(source, ast.Load) if source else ())
    else:
        file.assigned = {key: set() for key in mmengine.load(path)}
    for base in Config._get_base_files(path):
        base_path, scope = Config._get_cfg_path(base, path)
        file.bases.append(read_config_file(base_path, file.foreign or scope is not None))
    return file


def _is_dump(file: ConfigFile, cfg: Config) -> bool:
    """Whether mmengine wrote the file: everything spelled out and sorted, so that nothing can read anything."""
    names = list(file.assigned)
    return not file.bases and not file.read & set(names) and names == sorted(names) and len(
        set(names) & runtime_keys()) >= 5 and set(names) <= set(cfg)


def _used_in(name: str, files: Sequence[ConfigFile], known: FrozenSet[str]) -> List[str]:
    """Runtime keys whose expressions in ``files`` read ``name``, directly or through other names."""
    readers, reached = {name}, set()
    while readers - reached:
        reached |= readers
        readers = {key for file in files for key, read in file.assigned.items() if read & reached} | readers
    return sorted(readers & known)


def _nearest(name: str, known: FrozenSet[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.7)
    return f'; did you mean {near[0]!r}?' if near else '; remove it, or use it in an expression of the config'


def _without_effect(name: str, where: str, files: Sequence[ConfigFile], known: FrozenSet[str]) -> str:
    """Say why an assignment has no effect and what to write instead."""
    readers = [file for file in files if name in file.read]
    keys = _used_in(name, readers, known)
    if not keys:
        return f'{where}: nobody reads {name!r}{_nearest(name, known)}'
    these, them = ('these', 'them') if len(keys) > 1 else ('this', 'it')
    return (f'{where}: setting {name!r} changes nothing, because {osp.basename(readers[0].path)} has used its own '
            f'value already when it built {", ".join(keys)}; override it inside {these} instead, e.g. '
            f'{keys[0]}=dict(...), or rebuild {them} from the new value')


def _repeats_base(name: str, file: ConfigFile, cfg: Config) -> bool:
    """Whether a file sets a name to the value that it has in a base anyway, which misleads nobody."""
    bases = [base for base in file.bases if any(name in other.assigned for other in [base] + base.ancestors())]
    return any(Config.fromfile(base.path, import_custom_modules=False).get(name) == cfg[name] for base in bases)


def unread_keys(cfg: Config, allow: Sequence[str] = ()) -> List[str]:
    """List what a config sets to no effect, one line each.

    A name counts as read if mmengine or mmdet3d's tools read it, or an expression of the *same* file does, or a file
    that inherits from it does through ``_base_``. An intermediate variable that a child sets again is not read: the
    base's expressions have been evaluated by then. Files of installed packages are taken as they are.

    Args:
        cfg: Config made by ``Config.fromfile``, possibly changed since, e.g. by ``--cfg-options``.
        allow: Further keys that are fine, because a class of the user's own reads them.
    """
    if not cfg.filename or not osp.isfile(cfg.filename) or Config._is_lazy_import(cfg.filename):
        return []  # made in memory, or a lazy config, where a child does replace what its base reads
    known = runtime_keys() | set(allow)
    top = read_config_file(cfg.filename)
    if _is_dump(top, cfg):
        return []
    files = [top] + top.ancestors()
    problems = []
    for file in files:
        heirs = [other for other in files if any(base.path == file.path for base in other.ancestors())]
        fine = known | file.read | set().union(*(heir.read_from_base for heir in heirs))
        for name in file.assigned:
            if not file.foreign and name not in fine and name in cfg and not _repeats_base(name, file, cfg):
                problem = _without_effect(name, osp.basename(file.path), file.ancestors(), known)
                problems += [problem] if problem not in problems else []
    written = Config.fromfile(cfg.filename, import_custom_modules=False)
    for name in cfg:
        if name not in known and (name not in written or written[name] != cfg[name]):
            problems.append(_without_effect(name, '--cfg-options', files, known))
    return problems


# Dicts that classes pick from and never check: a misspelt key in them is not missed by anybody.
FREE_FORM = ('data_prefix', 'train_cfg', 'test_cfg')


def _misspelt_within(new: Any, old: Any, path: str, free: bool) -> List[str]:
    """Keys of free-form dicts in ``new`` that ``old`` lacks and that look like one it has."""
    if isinstance(new, dict) and isinstance(old, dict):
        problems = []
        for key, value in new.items():
            here = f'{path}.{key}' if path else str(key)
            if key in old:
                problems += _misspelt_within(value, old[key], here, free or (key in FREE_FORM and bool(path)))
            elif free:
                near = difflib.get_close_matches(str(key), [str(name) for name in old], n=1, cutoff=0.82)
                problems += [f'{here}: nobody reads {key!r}; did you mean {near[0]!r}?'] if near else []
        return problems
    if isinstance(new, (list, tuple)) and isinstance(old, (list, tuple)) and len(new) == len(old):
        return [problem for index, pair in enumerate(zip(new, old))
                for problem in _misspelt_within(*pair, f'{path}.{index}', free)]
    return []


def misspelt_keys(cfg: Config, allow: Sequence[str] = ()) -> List[str]:
    """Keys of ``data_prefix``, ``train_cfg`` and ``test_cfg`` (of models and data sets) that look misspelt.

    One line each. What a child config or ``--cfg-options`` adds beside a key of nearly the same name can hardly be
    meant.
    """
    if not cfg.filename or not osp.isfile(cfg.filename) or Config._is_lazy_import(cfg.filename):
        return []
    written = Config.fromfile(cfg.filename, import_custom_modules=False)
    bases = [Config.fromfile(Config._get_cfg_path(base, cfg.filename)[0], import_custom_modules=False)
             for base in Config._get_base_files(cfg.filename)]
    found = [problem for base in [written, *bases]
             for problem in _misspelt_within(cfg._cfg_dict, base._cfg_dict, '', False)]
    return [problem for problem in dict.fromkeys(found) if problem.split(':')[0].rpartition('.')[2] not in allow]


@HOOKS.register_module()
class ConfigCheckHook(Hook):
    """Stop a run whose config sets a key that nobody reads.

    Three kinds: a misspelt key (``param_schedular``), an intermediate variable set again in a child config or on the
    command line (``data_root``), which mmengine silently ignores, and a key in ``train_cfg``, ``test_cfg`` or
    ``data_prefix`` beside one of nearly the same name. Keys of mmdet3d's own files are let pass. Unknown arguments of
    classes need no check: building them raises a ``TypeError`` with the argument's name.

    Args:
        allow: Further keys to let pass, because something of your own reads them.
    """

    priority = 'VERY_HIGH'

    def __init__(self, allow: Sequence[str] = ()) -> None:
        self.allow = tuple(allow)

    def before_run(self, runner) -> None:
        """Raise with every key that has no effect and what to write instead."""
        problems = unread_keys(runner.cfg, self.allow) + misspelt_keys(runner.cfg, self.allow)
        if problems:
            raise ValueError('the config sets keys to no effect (ConfigCheckHook(allow=[...]) lets keys pass that '
                             'your own code reads):\n  ' + '\n  '.join(problems))
