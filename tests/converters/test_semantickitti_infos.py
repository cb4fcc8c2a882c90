"""Lists of SemanticKITTI's sweeps: what is there, in mmdet3d's form; what is torn or lacks labels."""
import pickle

import numpy as np
import pytest
from kitti_sweeps import write_kitti
from pretrain3d.converters.semantickitti.infos import KittiError, find_root, write_infos


@pytest.fixture()
def root(tmp_path):
    return write_kitti(tmp_path)


def listed(root, split):
    return pickle.loads((root / f'semantickitti_infos_{split}.pkl').read_bytes())


def test_lists_are_mmdet3ds(root, tmp_path):
    """Keys and values of the entries that mmdet3d's own converter makes without looking at the disk."""
    done = write_infos(root)
    assert {split: len(part.entries) for split, part in done.items()} == dict(train=4, val=2, test=1)
    assert not any(part.bad or part.notes for part in done.values())
    from importlib import util
    from pathlib import Path

    import mmdet3d
    path = Path(mmdet3d.__file__).parent / '.mim' / 'tools' / 'dataset_converters' / 'semantickitti_converter.py'
    if not path.exists():
        pytest.skip('mmdet3d was installed without its tools')
    spec = util.spec_from_file_location('semantickitti_converter', path)
    theirs = util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    for split in ('train', 'val', 'test'):
        expected = {info['lidar_points']['lidar_path']: info
                    for info in theirs.get_semantickitti_info(split)['data_list']}
        assert listed(root, split)['metainfo'] == theirs.get_semantickitti_info(split)['metainfo']
        for info in listed(root, split)['data_list']:
            their = dict(expected[info['lidar_points']['lidar_path']])
            if split == 'test':  # theirs names label files that the release does not have
                their.pop('pts_semantic_mask_path')
            assert {key: info[key] for key in their} == their
            assert info['scene_name'] == info['lidar_points']['lidar_path'].split('/')[1]


def test_a_drawn_world_or_part_of_the_release_has_the_splits_it_has(root):
    import shutil
    shutil.rmtree(root / 'sequences' / '11')
    assert write_infos(root)['test'].entries == []
    assert not (root / 'semantickitti_infos_test.pkl').exists()
    assert write_infos(root, ('val', ))['val'].entries == listed(root, 'val')['data_list']


def test_a_split_without_sweeps_is_named_and_its_older_list_removed(root):
    import shutil
    write_infos(root)
    shutil.move(root / 'sequences' / '08', root / 'kept')
    old, train = root / 'semantickitti_infos_val.pkl', listed(root, 'train')
    assert write_infos(root, ('train', ))['train'].notes == [] and old.is_file()  # val was not asked for
    gone = f'; {old}, a list of an earlier run, was removed'
    assert write_infos(root)['val'].notes == [f'no sweeps of val (sequence 08){gone}']
    assert not old.exists() and listed(root, 'train') == train
    assert write_infos(root)['val'].notes == ['no sweeps of val (sequence 08)']
    shutil.move(root / 'kept', root / 'sequences' / '08')
    shutil.rmtree(root / 'sequences' / '11')
    assert write_infos(root)['test'].notes[0].startswith('no sweeps of test (sequences 11 to 21); ')
    for label in (root / 'sequences' / '08' / 'labels').iterdir():
        label.unlink()
    part = write_infos(root)['val']
    assert part.notes == [f'none of the 2 sweeps of val (sequence 08) could be listed{gone}'] and len(part.bad) == 2
    assert not old.exists()
    old.write_bytes(b'older')
    with pytest.raises(KittiError, match=r'000000.label does not exist; .*infos_val.pkl, a list .* was removed'):
        write_infos(root, ('val', ))
    assert not old.exists() and listed(root, 'train') == train


def test_torn_and_unlabelled_sweeps_are_left_out_with_the_reason(root):
    folder = root / 'sequences' / '00'
    (folder / 'velodyne' / '000000.bin').write_bytes(b'1' * 17)
    np.zeros(7, np.uint32).tofile(folder / 'labels' / '000001.label')
    (folder / 'labels' / '000002.label').unlink()
    (folder / 'times.txt').write_text('0\n1\n2\n3\n4\n')
    part = write_infos(root)['train']
    assert [file for file, _ in part.bad] == [f'sequences/00/velodyne/00000{i}.bin' for i in range(3)]
    reasons = [reason for _, reason in part.bad]
    assert reasons == ['17 bytes are no whole number of points with four float32: torn',
                       'sequences/00/labels/000001.label has 7 labels for 300 points',
                       'sequences/00/labels/000002.label does not exist']
    assert len(listed(root, 'train')['data_list']) == 1
    assert part.notes == ['sequence 00 has 4 sweeps and 5 times: the download may be incomplete']


def test_where_the_sequences_are(root, tmp_path):
    assert find_root(root) == root
    (tmp_path / 'download').mkdir()
    (tmp_path / 'download' / 'dataset').symlink_to(root, target_is_directory=True)
    assert find_root(tmp_path / 'download') == tmp_path / 'download' / 'dataset'
    (tmp_path / 'empty').mkdir()
    with pytest.raises(KittiError, match='holds no folder sequences'):
        find_root(tmp_path / 'empty')
    (tmp_path / 'empty' / 'sequences').mkdir()
    with pytest.raises(KittiError, match='holds no sweep with labels'):
        write_infos(tmp_path / 'empty')
