"""mmdet3d's own train.py, from any directory: ``python tools/train.py CONFIG ...`` (see --help)."""
from _mmdet3d import run

if __name__ == '__main__':
    run('train.py')
