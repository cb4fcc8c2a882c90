"""Which scenes and frames the options choose: counts on nuScenes' own names, what is drawn, what is refused."""
import pickle

import pytest
from mmengine.dataset import BaseDataset
from nuscenes.utils import splits
from pretrain3d.datasets.info_check import InfoFileError
from pretrain3d.datasets.scene_splits import VERIFY100, SubsetMixin, every_nth, read_share, select_scenes


class Plain(SubsetMixin, BaseDataset):
    """A data set of bare infos."""


@pytest.fixture()
def make(tmp_path):
    def build(infos, **options):
        path = tmp_path / 'infos.pkl'
        path.write_bytes(pickle.dumps(dict(metainfo={}, data_list=infos)))
        data = Plain(ann_file=str(path), serialize_data=False, data_prefix={}, **options)
        return [(info.get('scene_name'), info['number']) for info in data.data_list]
    return build


def samples(scenes, frames=4):
    """Infos of scenes in turn, so that their order is not that of the scene table."""
    return [dict(scene_name=name, scene_index=place, number=frame) for frame in range(frames)
            for place, name in reversed(list(enumerate(scenes)))]


@pytest.mark.parametrize('spec, count', [('1%', 7), ('5%', 35), (0.1, 70), ('25 %', 175), (1, 700)])
def test_shares_of_the_700(spec, count):
    chosen = select_scenes(spec, splits.train)
    assert len(chosen) == count
    # As the released code counts: up to every n-th scene of the table that is of the split.
    counter, expected = 0, []
    for name in splits.train:
        counter += 1
        if counter % (700 // count) == 0:
            expected.append(name)
    assert chosen == expected
    drawn = select_scenes(spec, splits.train, seed=3)
    assert len(drawn) == len(set(drawn)) == count and drawn == select_scenes(spec, splits.train, seed=3)
    assert [name for name in splits.train if name in set(drawn)] == drawn
    assert count == 700 or drawn != chosen != select_scenes(spec, splits.train, seed=4)


def test_named_splits():
    assert len(VERIFY100) == 100 and VERIFY100 < set(splits.train) and not VERIFY100 & set(splits.val)
    mini, verify = select_scenes('mini600', splits.train), select_scenes('verify100', splits.train)
    assert (len(mini), set(verify)) == (600, set(VERIFY100)) and set(mini) | set(verify) == set(splits.train)
    assert select_scenes('train700', splits.train) == list(splits.train)
    assert select_scenes('mini600:5%', splits.train) == mini[19::20]
    assert select_scenes('verify100', splits.mini_train) == ['scene-1094']
    assert len(select_scenes('mini600', splits.mini_train)) == 7
    assert select_scenes('train700', splits.mini_train) == splits.mini_train
    assert len(set(splits.mini_train) & set(splits.train)) < 8, 'mini trains on scenes that validate elsewhere'


def test_smaller_draws_are_part_of_larger_ones():
    one, five = (set(select_scenes(share, splits.train, seed=0)) for share in (0.01, 0.05))
    assert one < five
    assert set(select_scenes('3%', splits.train, seed=0)) > one, 'shares that cannot be counted out can be drawn'


def test_few_scenes_still_give_one():
    assert every_nth(list('abcdefgh'), 0.01) == ['h'] and every_nth(list('abcdefgh'), 0.5) == list('bdfh')
    assert every_nth(list('ab'), 0.25) == ['b'] and select_scenes('1%', ['a', 'b'], seed=1) in (['a'], ['b'])


def test_lists_and_files(tmp_path):
    (tmp_path / 'list.txt').write_text('c\n\na\n')
    assert select_scenes(str(tmp_path / 'list.txt'), list('abc')) == ['a', 'c']
    assert select_scenes(['c', 'a'], list('abc')) == ['a', 'c']
    with pytest.raises(ValueError, match='names 2 scenes, of which 1 are not there, first a.*another split'):
        select_scenes(str(tmp_path / 'list.txt'), list('bc'))
    with pytest.raises(ValueError, match='scenes names 0 scenes'):
        select_scenes([], list('bc'))
    with pytest.raises(FileNotFoundError, match="'mini60' is none of"):
        select_scenes('mini60', list('bc'))


@pytest.mark.parametrize('spec', ['0%', 0., 1.5, '200%', -0.1])
def test_shares_outside_of_0_to_1(spec):
    with pytest.raises(ValueError, match='not in'):
        select_scenes(spec, splits.train)


def test_what_else_is_refused():
    with pytest.raises(ValueError, match='1 / 0.03 is no whole number; give scene_seed'):
        select_scenes('3%', splits.train)
    for name in ('train700', 'mini600', 'verify100'):
        for others in (splits.val, splits.mini_val):
            with pytest.raises(ValueError, match=f"none of the scenes there are is one of '{name}'"):
                select_scenes(name, others)
    with pytest.raises(ValueError, match='is no share; write mini600:5%'):
        select_scenes('mini600:few', splits.train)
    with pytest.raises(ValueError, match='no scenes to choose from'):
        select_scenes('5%', [])
    assert read_share('abc%') is None and read_share(True) is None and read_share(['a']) is None


def test_a_dataset_has_all_frames_of_the_chosen_scenes(make):
    scenes = ['b', 'd', 'a', 'c']  # the order of the table decides, not of the names or of the samples
    assert make(samples(scenes)) == [(info['scene_name'], info['number']) for info in samples(scenes)]
    assert make(samples(scenes), scenes='50%') == [(name, frame) for frame in range(4) for name in ('c', 'd')]
    assert make(samples(scenes), scenes=['a']) == [('a', frame) for frame in range(4)]
    drawn = {name for name, _ in make(samples(scenes), scenes=0.5, scene_seed=1)}
    assert len(drawn) == 2


def test_frames_are_counted_out_over_all_scenes(make):
    infos = samples(['b', 'a'], frames=5)
    assert make(infos, frames='25%') == [('a', 0), ('a', 2), ('a', 4)]
    assert make(infos, frames='25%', scenes=['b']) == [('b', 0), ('b', 4)]
    for info in infos:
        del info['scene_name']
    assert len(make(infos, frames=0.1)) == 1, 'frames need no scene names'


def test_frames_of_semantickitti(make):
    """19,130 training sweeps give 192, as in released code."""
    assert len(make([dict(number=i) for i in range(19130)], frames='1%')) == 192


def test_datasets_refuse(make):
    infos = samples(['a', 'b'])
    with pytest.raises(ValueError, match="infos.pkl, scenes=\\['x'\\]: scenes names 1 scenes, of which 1"):
        make(infos, scenes=['x'])
    with pytest.raises(InfoFileError, match='sample 0 does not say its scene.*nuscenes_extras.py'):
        make([dict(number=1)], scenes='50%')
    with pytest.raises(ValueError, match='frames=7 is no share|not in'):
        make(infos, frames=7)
    with pytest.raises(ValueError, match="frames='few' is no share"):
        make(infos, frames='few')
    with pytest.raises(ValueError, match='cannot be counted out'):
        make(infos, frames=0.3)
    with pytest.raises(ValueError, match='scene_seed=1 draws nothing without scenes'):
        make(infos, scene_seed=1)
    with pytest.raises(ValueError, match='no sample is left of 0|no scenes to choose from'):
        make([], scenes='5%')
    assert len(make(infos, scenes='1%')) == 4
