"""Configs of the demos' runs: recipes read as plain values, and their children written."""
import contextlib
import logging
from pathlib import Path
from typing import Dict, Iterator, Optional

from _demo import DemoError, Run
from _sweep_spec import SweepError, child_config, environment, write


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """mmengine says of every variable in a config that it has read it."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


def read_recipe(path: Path, variables: Optional[Dict[str, str]] = None) -> dict:
    """The whole recipe as plain values, read with these environment variables."""
    from mmengine.config import Config
    with environment(variables or {}), without_chatter():
        return Config.fromfile(str(path), import_custom_modules=False)._cfg_dict.to_dict()


def write_config(run: Run, recipe: Path, changed: Dict[str, object]) -> Run:
    """Write the config of a run: the recipe's child."""
    run.folder.mkdir(parents=True, exist_ok=True)
    try:
        with without_chatter():
            write(run.config, child_config(str(recipe), changed))
    except SweepError as error:
        raise DemoError(str(error)) from error
    return run
