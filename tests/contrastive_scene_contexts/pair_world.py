"""Pairs of the frames of drawn rooms, made once per test module, and short pipelines over them."""
import pytest

from pretrain3d.converters.pairs.build import build_pairs
from pretrain3d.converters.pairs.scene import PairOptions

VIEWS = ('view0', 'view1')


@pytest.fixture(scope='module')
def drawn_pairs(drawn_scannet, tmp_path_factory):
    """Folder with ``frame_pairs_train.pkl`` (with tables) and ``frame_pairs_val.pkl`` of the drawn scans."""
    out = tmp_path_factory.mktemp('pairs')
    for split in ('train', 'val'):
        build_pairs(drawn_scannet.converted, out, split, PairOptions(grid=0.025, tables='all'), quiet=True)
    return out


def frame_pipeline(steps, match, with_table=False, keys=('pairs', )):
    """Load a pair, run ``steps`` on each view, match, pack."""
    return [
        dict(type='LoadFramePair', with_table=with_table),
        dict(type='MakeViews', views={view: [dict(type='TakeFrame', view=view), *steps] for view in VIEWS}),
        dict(type='MatchViews', **match),
        dict(type='PackPretrain3DInputs', keys=list(keys), point_keys=['xyz_world'])]
