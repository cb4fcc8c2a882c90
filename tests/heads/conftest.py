"""What the tests of this folder have from two processes."""
from pathlib import Path

import pytest
from ranks import run_ranks


@pytest.fixture(scope='session')
def head_ranks(tmp_path_factory):
    """Results of both ranks by test; one start serves them all, since importing mmdet3d costs ten seconds a process."""
    return run_ranks(f'{Path(__file__).with_name("head_ranks.py")}:on_rank', 2, tmp_path_factory.mktemp('head_ranks'))
