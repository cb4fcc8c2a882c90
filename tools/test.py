"""mmdet3d's own test.py, from any directory: ``python tools/test.py CONFIG ...`` (see --help)."""
from _mmdet3d import run

if __name__ == '__main__':
    run('test.py')
