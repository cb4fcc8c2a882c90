"""Compiled mmcv for ``make wheels`` and ``make test-full``: a wheel cache, and an environment laid over ``.venv``.

``setup_full.py wheels`` compiles mmcv from its source package once into ``.cache/wheels`` (or the folder that
``PRETRAIN3D_WHEELS`` names), keyed by Python, torch, platform and whether CUDA operators are in it.
``setup_full.py overlay`` makes ``.venv-full``: it holds compiled mmcv alone and finds all else in ``.venv``, behind it.
Run it with the interpreter of ``.venv``.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from setup_env import ROOT, Environment, digest, guarded, only_one, read_lock, say  # noqa: E402
from setup_pip import Progress, SetupError, diagnose, follow, pip_environment  # noqa: E402

NEEDED_BYTES = 3 * 2**30


def mmcv_version(root: Path = ROOT) -> str:
    """The version of mmcv-lite that the lock pins: the compiled one must be the same."""
    return read_lock(root / 'requirements' / 'lock.txt', python_version())['mmcv-lite']


def python_version() -> str:
    """This interpreter's version as '3.11'."""
    return f'{sys.version_info[0]}.{sys.version_info[1]}'


def with_cuda() -> bool:
    """Whether mmcv will be built with CUDA operators: asked for or a GPU in sight, and a CUDA compiler to do it."""
    import torch
    asked = os.environ.get('FORCE_CUDA') == '1'
    compiler = shutil.which('nvcc') or os.environ.get('CUDA_HOME')
    if asked and not compiler:
        raise SetupError('FORCE_CUDA=1 needs the CUDA toolkit (nvcc on the PATH, or CUDA_HOME)')
    return bool(compiler) and (asked or torch.cuda.is_available())


def wheel_folder(cuda: bool, root: Path = ROOT) -> Path:
    """Where the wheel of this Python, torch and platform lies in the cache."""
    import torch
    base = Path(os.environ.get('PRETRAIN3D_WHEELS') or root / '.cache' / 'wheels')
    platform = sysconfig.get_platform().replace('-', '_')
    key = f'cp{python_version().replace(".", "")}-torch{torch.__version__}-{platform}-{"cuda" if cuda else "cpu"}'
    return base / key


def compiler_problem():
    """What is missing to compile an extension, ``None`` if nothing is."""
    compiler = os.environ.get('CXX', 'g++').split()[0]
    if not shutil.which(compiler):
        return f'no C++ compiler: {compiler} is not on the PATH (on Debian: apt-get install g++)'
    header = Path(sysconfig.get_paths()['include'], 'Python.h')
    if not header.is_file():
        return f'{header} is missing (on Debian: apt-get install python{python_version()}-dev)'
    return None


def build_wheel(env: Environment, lock_fd: int) -> Path:
    """Path of compiled mmcv's wheel, compiled now if the cache lacks it."""
    cuda = with_cuda()
    folder, version = wheel_folder(cuda), mmcv_version()
    for wheel in sorted(folder.glob(f'mmcv-{version}-*.whl')):
        say(f'compiled mmcv is in the cache: {wheel}')
        return wheel
    problem = compiler_problem()
    if problem:
        raise SetupError(problem)
    free = shutil.disk_usage(str(env.root)).free
    if free < NEEDED_BYTES:
        raise SetupError(f'compiling mmcv needs {NEEDED_BYTES >> 30} GiB of disk, {free / 2**30:.1f} GiB are free')
    say(f'compiling mmcv {version} {"with" if cuda else "without"} CUDA operators (7 minutes on 2 cores)')
    scratch = env.owner / 'build'
    shutil.rmtree(str(scratch), ignore_errors=True)
    scratch.mkdir()
    compile_mmcv(env, version, cuda, scratch, lock_fd)
    folder.mkdir(parents=True, exist_ok=True)
    built, = scratch.glob('mmcv-*.whl')
    partial = folder / f'.{built.name}.{os.getpid()}'
    shutil.copyfile(str(built), str(partial))
    os.replace(str(partial), str(folder / built.name))
    shutil.rmtree(str(scratch), ignore_errors=True)
    say(f'compiled mmcv: {folder / built.name}')
    return folder / built.name


def compile_mmcv(env: Environment, version: str, cuda: bool, scratch: Path, lock_fd: int) -> None:
    """Let pip build the wheel into ``scratch`` with the environment's own torch, showing ninja's count."""
    environ = pip_environment(scratch)
    # pip's own cache of built wheels does not know which torch they were built with, hence --no-cache-dir.
    environ.update(MMCV_WITH_OPS='1', PATH=os.pathsep.join([str(env.venv / 'bin'), environ.get('PATH', '')]),
                   MAX_JOBS=environ.get('MAX_JOBS') or str(os.cpu_count() or 1))
    if not cuda:
        environ.update(CUDA_VISIBLE_DEVICES='', FORCE_CUDA='0')
    progress = Progress(period=30.0)

    def on_line(line: str) -> None:
        step = re.match(r'\s*\[(\d+)/(\d+)\]', line)
        if step:
            progress.show(f'compiled {step.group(1)}/{step.group(2)} files')

    log = env.root / '.cache' / 'wheels.log'
    with open(str(log), 'w') as handle:
        process = subprocess.Popen(
            [str(env.python), '-m', 'pip', 'wheel', '--verbose', '--no-build-isolation', '--no-deps', '--no-cache-dir',
             '--no-binary', 'mmcv', '--wheel-dir', str(scratch), f'mmcv=={version}'], env=environ,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(lock_fd,))
        text = follow(process, handle, on_line, lambda: None)
        progress.end()
    if process.returncode:
        errors = re.findall(r'.*\berror:.*', text)
        raise SetupError(diagnose(text, f'mmcv did not compile: {errors[0].strip() if errors else ""} (see {log})'))


def make_overlay(env: Environment, wheel: Path, lock_fd: int) -> None:
    """``.venv-full``: compiled mmcv first on the path, everything else from ``.venv``."""
    full = env.root / '.venv-full'
    record = full / 'record'
    wanted = f'{env.site(python_version())}\n{digest(wheel)}\n'
    if record.is_file() and record.read_text() == wanted:
        say('.venv-full is ready')
        return
    say('making .venv-full: compiled mmcv over .venv')
    shutil.rmtree(str(full), ignore_errors=True)
    for command in ([sys.executable, '-m', 'venv', '--without-pip', str(full)],
                    [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-index', '--ignore-installed',
                     '--prefix', str(full), str(wheel)]):
        done = subprocess.run(command, env=pip_environment(env.owner), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, pass_fds=(lock_fd,))
        if done.returncode:
            raise SetupError(diagnose(done.stdout.decode(errors='replace'), f'failed: {" ".join(command)}'))
    site = full / 'lib' / f'python{python_version()}' / 'site-packages'
    (site / 'over.pth').write_text(f'import site; site.addsitedir({str(env.site(python_version()))!r})\n')
    check = 'import mmcv.ops, mmcv._ext as ext; assert not hasattr(ext, "STAND_IN"), ext.__file__; import mmdet3d'
    done = subprocess.run([str(full / 'bin' / 'python'), '-W', 'ignore', '-c', check], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=dict(os.environ, PRETRAIN3D_LIGHT='1'))
    if done.returncode:
        raise SetupError(diagnose(done.stdout.decode(errors='replace'), 'compiled mmcv does not import'))
    record.write_text(wanted)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('what', choices=['wheels', 'overlay'])
    what = parser.parse_args().what
    env = Environment()

    def act() -> None:
        if Path(sys.prefix).resolve() != env.venv.resolve():
            raise SetupError(f'run this with {env.python} (made by `make setup`), not with {sys.executable}')
        with only_one(env.root) as lock_fd:
            wheel = build_wheel(env, lock_fd)
            if what == 'overlay':
                make_overlay(env, wheel, lock_fd)

    return guarded(act)


if __name__ == '__main__':
    sys.exit(main())
