"""The package as a stand-in for ``mmcv._ext``: every call of mmcv fits, the rest says what it needs."""
import ast
import importlib.util
import inspect
import sys
from pathlib import Path

import pytest

from pretrain3d.engine import mmcv_cpu as ext

ROOM = Path(ext.__file__).parent


def calls_of_mmcv():
    """(file, function name, number of positional arguments, keyword names) of each call of the extension."""
    ops = Path(importlib.util.find_spec('mmcv').submodule_search_locations[0]) / 'ops'
    for path in sorted(ops.glob('*.py')):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(
                    node.func.value, ast.Name) and node.func.value.id == 'ext_module':
                starred = any(isinstance(arg, ast.Starred) for arg in node.args)
                if not starred:
                    yield path.name, node.func.attr, len(node.args), [key.arg for key in node.keywords]


def test_every_call_of_mmcv_fits_the_signature():
    checked = set()
    for file, name, positional, keywords in calls_of_mmcv():
        if name in ext.__all__:
            inspect.signature(getattr(ext, name)).bind(*range(positional), **dict.fromkeys(keywords))
            checked.add(name)
    assert set(ext.__all__) - checked == {'STAND_IN', 'install_over_compiled'}


def test_every_name_that_mmcv_looks_up_exists():
    for _, name, *_ in calls_of_mmcv():
        assert callable(getattr(ext, name))


def test_what_is_not_implemented_raises_when_called():
    assert hasattr(ext, 'upfirdn2d')
    with pytest.raises(NotImplementedError, match='upfirdn2d needs compiled mmcv: .*mmcv==2.1.0.*make wheels'):
        ext.upfirdn2d(1, pad=2)


@pytest.mark.parametrize('name', ['__wrapped__', '__no_such__', '_private', '__getitem'])
def test_dunder_and_private_names_are_no_operators(name):
    with pytest.raises(AttributeError, match=name):
        getattr(ext, name)


def test_a_file_of_the_package_is_no_operator():
    """Else ``from pretrain3d.engine.mmcv_cpu import finder`` would be given a function that raises."""
    with pytest.raises(AttributeError, match='finder'):
        ext.__getattr__('finder')


def test_the_environment_report_has_its_two_lines(mended_ops):
    assert 'pretrain3d' in ext.get_compiler_version() and ext.get_compiling_cuda_version() == 'not available'
    from mmcv.utils import collect_env
    assert collect_env()['MMCV Compiler']


def test_it_loads_by_its_place_under_another_name():
    name = 'stand_in_by_place'
    spec = importlib.util.spec_from_file_location(name, ROOM / '__init__.py', submodule_search_locations=[str(ROOM)])
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        assert module.STAND_IN and module.knn_forward is not ext.knn_forward
        assert module.knn_forward.__module__ == f'{name}.pointnet'
    finally:
        for loaded in [key for key in sys.modules if key.split('.')[0] == name]:
            del sys.modules[loaded]


def test_nothing_of_the_stack_above_is_imported():
    for path in ROOM.glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for name in names:
                assert name.split('.')[0] not in ('pretrain3d', 'mmdet3d', 'mmdet', 'mmcv', 'mmengine'), (path, name)
            if isinstance(node, ast.ImportFrom) and path.name != 'finder.py':
                assert node.level <= 1, f'{path}: leaves the package, which does not exist under the name mmcv._ext'
