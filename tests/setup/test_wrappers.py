"""tools/train.py, test.py and the launchers run mmdet3d's own scripts, from any directory, with the right Python."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ECHO = 'import os, sys\nprint("ran", __file__, __name__, os.getcwd(), sys.argv[1:], sys.path[0])\n'
ACTIVE = ('VIRTUAL_ENV', 'CONDA_PREFIX', 'CONDA_DEFAULT_ENV', 'PYTHONPATH', 'SRUN_ARGS', 'GPUS', 'GPUS_PER_NODE')


def script(path: Path, text: str) -> Path:
    """Write an executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


class World:
    """A copy of the wrappers in a checkout whose path has a space, a pretended mmdet3d, a working directory."""

    def __init__(self, root: Path):
        self.checkout, self.site, self.cwd, self.bin = (root / name for name in ('my checkout', 'site', 'work', 'bin'))
        for folder in (self.site, self.cwd, self.bin):
            folder.mkdir()
        shutil.copytree(ROOT / 'tools', self.checkout / 'tools', ignore=shutil.ignore_patterns('__pycache__'))
        finder = Path('projects', 'pretrain3d', 'engine', 'mmcv_cpu', 'finder.py')
        script(self.checkout / finder, (ROOT / finder).read_text())
        self.mim = self.site / 'mmdet3d' / '.mim' / 'tools'
        script(self.site / 'mmdet3d' / '__init__.py', 'raise AssertionError("a wrapper imported mmdet3d")')
        for name in ('train.py', 'test.py'):
            script(self.mim / name, ECHO)
        # torch's launcher, which says what it was asked to start
        for package in ('torch', 'torch/distributed'):
            script(self.site / package / '__init__.py', '')
        script(self.site / 'torch' / 'distributed' / 'run.py',
               'import os, sys\nprint(os.environ.get("OWN"), os.getcwd(), *sys.argv[1:], sep="|")\n')
        self.python = script(self.bin / 'python', f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        script(self.bin / 'srun', '#!/bin/sh\nfor a in "$@"; do echo "[$a]"; done\n')

    def own_python(self) -> Path:
        """Give the checkout a .venv."""
        return script(self.checkout / '.venv' / 'bin' / 'python', f'#!/bin/sh\nOWN=1 exec {sys.executable} "$@"\n')

    def run(self, *command, mmdet3d: bool = True, **environ) -> tuple:
        """(status, stdout, stderr) of a command in the working directory."""
        env = {key: value for key, value in os.environ.items() if key not in ACTIVE}
        env.update(PATH=f'{self.bin}:/usr/bin:/bin', **environ)
        if mmdet3d:
            env['PYTHONPATH'] = str(self.site)
        done = subprocess.run([str(part) for part in command], cwd=self.cwd, env=env, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.mark.parametrize('name', ['train.py', 'test.py'])
def test_python_wrapper_runs_mmdet3ds_script_as_main(world, name):
    status, out, err = world.run(sys.executable, world.checkout / 'tools' / name, 'a.py', '--work-dir', 'x')
    assert status == 0, err
    assert out == f"ran {world.mim / name} __main__ {world.cwd} ['a.py', '--work-dir', 'x'] {world.mim}\n"


def test_source_checkout_of_mmdet3d_is_served_too(world):
    shutil.rmtree(world.mim.parent)
    script(world.site / 'tools' / 'train.py', ECHO)
    status, out, err = world.run(sys.executable, world.checkout / 'tools' / 'train.py')
    assert status == 0 and str(world.site / 'tools' / 'train.py') in out, err
    status, _, err = world.run(sys.executable, world.checkout / 'tools' / 'test.py')
    assert status == 1 and 'tools/test.py' in err and 'mmdet3d 1.4.0' in err


def test_without_mmdet3d_one_clear_line(world):
    status, _, err = world.run(sys.executable, '-S', world.checkout / 'tools' / 'train.py', mmdet3d=False)
    assert status == 1 and err.count('\n') == 1 and 'make setup' in err


def test_without_mmdet3d_the_checkouts_own_python_takes_over(world):
    script(world.checkout / '.venv' / 'bin' / 'python',
           f'#!/bin/sh\nPYTHONPATH={world.site} exec {sys.executable} "$@"\n')
    command = (sys.executable, '-S', world.checkout / 'tools' / 'train.py', 'a.py')
    status, out, err = world.run(*command, mmdet3d=False)
    assert status == 0 and "['a.py']" in out, err
    assert world.run(*command, mmdet3d=False, VIRTUAL_ENV='/mine')[0] == 1


@pytest.mark.parametrize('name', ['dist_train.sh', 'dist_test.sh'])
@pytest.mark.parametrize('active, own', [
    ({}, True), ({'CONDA_DEFAULT_ENV': 'base'}, True), ({'VIRTUAL_ENV': '/m'}, False),
    ({'CONDA_DEFAULT_ENV': 'mmdet3d'}, False)])
def test_launcher_starts_our_wrapper_with_the_right_python(world, name, active, own):
    world.own_python()
    given = ['my cfg.py', '4'] if name == 'dist_train.sh' else ['my cfg.py', 'a b.pth', '4']
    status, out, err = world.run(world.checkout / 'tools' / name, *given, '--work-dir', 'c d', **active)
    assert status == 0, err
    python, cwd, *words = out.rstrip('\n').split('|')
    assert (python, cwd) == ('1' if own else 'None', str(world.cwd))
    assert {'--nproc_per_node=4', '--nnodes=1', '--node_rank=0', '--master_addr=127.0.0.1',
            '--max_restarts=0'} <= set(words)
    wrapper = str(world.checkout / 'tools' / name.replace('dist_', '').replace('.sh', '.py'))
    assert words[words.index(wrapper) + 1:] == [*given[:-1], '--launcher', 'pytorch', '--work-dir', 'c d']


def test_launcher_without_venv_uses_python_on_the_path(world):
    status, out, _ = world.run(world.checkout / 'tools' / 'dist_train.sh', 'cfg.py', '2')
    assert status == 0 and out.startswith('None|')


def test_launcher_takes_nodes_and_a_port_from_the_environment(world):
    tool = world.checkout / 'tools' / 'dist_train.sh'
    out = world.run(tool, 'cfg.py', '2', NNODES='2', NODE_RANK='1', MASTER_ADDR='head')[1].split('|')
    assert {'--nnodes=2', '--node_rank=1', '--master_addr=head', '--master_port=29500'} <= set(out)
    assert '--master_port=1234' in world.run(tool, 'cfg.py', '2', PORT='1234')[1].split('|')


@pytest.mark.parametrize('name', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh'])
def test_launcher_without_mmdet3d_says_so_in_a_line(world, name):
    bare = script(world.bin / 'python', f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    status, out, err = world.run(world.checkout / 'tools' / name, 'a', 'b', '2', 'd', mmdet3d=False)
    assert bare and status == 1 and out == '' and err.count('\n') == 1 and 'make setup' in err


@pytest.mark.parametrize('name', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh'])
def test_launcher_without_arguments_says_how(world, name):
    status, _, err = world.run(world.checkout / 'tools' / name)
    assert status == 2 and err.startswith('usage:') and name in err


def test_slurm_names_the_script_in_full_and_keeps_the_working_directory(world):
    status, out, err = world.run(world.checkout / 'tools' / 'slurm_train.sh', 'gpu', 'job', 'my cfg.py', 'out', '--amp',
                                 GPUS='16', SRUN_ARGS='--quotatype auto')
    assert status == 0, err
    words = out.replace(']\n', '\n').replace('[', '').splitlines()
    assert words[words.index('python'):] == ['python', '-u', str(world.checkout / 'tools' / 'train.py'), 'my cfg.py',
                                             '--work-dir=out', '--launcher=slurm', '--amp']
    assert {'-p', 'gpu', '--ntasks=16', '--gres=gpu:8', '--quotatype', 'auto'} <= set(words)
    out = world.run(world.checkout / 'tools' / 'slurm_train.sh', 'cpu', 'job', 'a.py', 'out', GPUS='4', GRES='')[1]
    assert '--ntasks=4' in out and '--gres' not in out


@pytest.mark.parametrize('name, words', [
    ('train.py', '--auto-scale-lr'), pytest.param('test.py', 'checkpoint', marks=pytest.mark.full)])
def test_with_the_real_mmdet3d(tmp_path, name, words):
    done = subprocess.run([sys.executable, str(ROOT / 'tools' / name), '--help'], cwd=tmp_path, capture_output=True,
                          text=True)
    assert done.returncode == 0 and words in done.stdout, done.stderr


@pytest.mark.parametrize('name', ['make_world.py', 'data/scannet.py', 'data/s3dis.py', 'data/make_frame_pairs.py',
                                  'analysis/browse.py', 'convert_weights.py'])
def test_our_own_tools_go_on_in_the_checkouts_python(world, name):
    tool = world.checkout / 'tools' / name
    arguments = [script(world.cwd / 'a.pth', ''), 'b.pth']
    bare = (sys.executable, '-S', tool, *arguments)  # -S: a Python without any package
    status, _, err = world.run(*bare, mmdet3d=False)
    assert status == 1 and err.count('\n') == 1 and 'make setup' in err
    script(world.checkout / '.venv' / 'bin' / 'python', '#!/bin/sh\necho went on with "$@"\n')
    status, out, err = world.run(*bare, mmdet3d=False)
    assert status == 0 and out == f'went on with {tool} {world.cwd / "a.pth"} b.pth\n', err
    assert world.run(*bare, mmdet3d=False, VIRTUAL_ENV='/mine')[0] == 1
