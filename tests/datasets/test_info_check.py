import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from pretrain3d.datasets.info_check import (InfoFileError, check_class_names, check_info_file, count_wide_boxes, naming,
                                            load_plain_pickle)

REAL = Path(__file__).resolve().parents[3] / 'shared' / 'real' / 'nuscenes_frame'
CLASSES = ['car', 'pedestrian']


def instance(label, length, width):
    return dict(bbox_label_3d=label, bbox_3d=[0., 0, 0, length, width, 1.5, 0.3])


def infos(instances=(), **sample):
    return dict(metainfo=dict(categories=dict(pedestrian=1, car=0), info_version='1.1'),
                data_list=[dict(lidar_points=dict(lidar_path='a.bin'), instances=list(instances), **sample)])


def write(path, data):
    path.write_bytes(pickle.dumps(data))
    return str(path)


def test_a_good_file_is_returned(tmp_path):
    data = infos([instance(0, 4.5, 1.8)] * 3 + [instance(1, 0.5, 0.9)] * 9)
    assert check_info_file(write(tmp_path / 'a.pkl', data), classes=['car']) == data


@pytest.mark.parametrize('data', [[dict(token=1)], dict(infos=[], metadata={})])
def test_old_format(tmp_path, data):
    with pytest.raises(InfoFileError, match='old.pkl.*update_infos_to_v2.py'):
        check_info_file(write(tmp_path / 'old.pkl', data))


@pytest.mark.parametrize('data', [dict(), 'text', dict(data_list=[]), dict(metainfo={}, data_list='x')])
def test_not_an_info_file(tmp_path, data):
    with pytest.raises(InfoFileError, match='no mmdet3d info file'):
        check_info_file(write(tmp_path / 'a.pkl', data))


def test_old_boxes(tmp_path):
    wide = [instance(0, 1.8, 4.5)] * 3
    path = write(tmp_path / 'old.pkl', infos(wide + [instance(0, 4.5, 1.8)] * 2))
    with pytest.raises(InfoFileError, match='old.pkl.*before mmdet3d 1.0.*3 of 5'):
        check_info_file(path)
    for few in (wide[:2], wide + [instance(0, 4.5, 1.8)] * 3, [instance(1, 0.4, 0.8)] * 9, [instance(-1, 1, 2)] * 9):
        check_info_file(write(tmp_path / 'a.pkl', infos(few)))


def test_boxes_that_cannot_be(tmp_path):
    path = write(tmp_path / 'a.pkl', infos([instance(0, 4.5, 1.8), instance(7, 4.5, 1.8)]))
    with pytest.raises(InfoFileError, match=r'a.pkl: data_list\[0\], instance 1 has bbox_label_3d 7.*categories'):
        check_info_file(path)
    check_info_file(write(tmp_path / 'a.pkl', infos([instance(-1, 4.5, 1.8)])))
    path = write(tmp_path / 'a.pkl', infos([instance(0, float('nan'), 1.8)]))
    with pytest.raises(InfoFileError, match=r'a.pkl: data_list\[0\], instance 0 has the box .*nan'):
        check_info_file(path)


def test_label_names_come_from_the_dataset_where_the_file_lists_none(tmp_path):
    data = dict(infos([instance(0, 1.8, 4.5)] * 3), metainfo={})
    path = write(tmp_path / 'a.pkl', data)
    check_info_file(path)
    with pytest.raises(InfoFileError, match='width first'):
        check_info_file(path, label_names=CLASSES)
    assert count_wide_boxes(data['data_list'], CLASSES) == (3, 3)


class Evil:
    """A pickle that leaves a mark when it is loaded by the ordinary unpickler."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path, )


def test_code_is_refused_and_not_run(tmp_path):
    mark = str(tmp_path / 'mark')
    path = write(tmp_path / 'evil.pkl', infos(extra=Evil(mark)))
    with pytest.raises(InfoFileError, match='evil.pkl is refused.*mkdir'):
        check_info_file(path)
    assert not os.path.exists(mark)
    pickle.loads((tmp_path / 'evil.pkl').read_bytes())
    assert os.path.exists(mark)


@pytest.mark.parametrize('thing', [eval, getattr, np.load, np.frompyfunc, Path('a'), pickle.loads])
def test_callables_are_refused(tmp_path, thing):
    with pytest.raises(InfoFileError, match='refused'):
        load_plain_pickle(write(tmp_path / 'a.pkl', thing))


@pytest.mark.parametrize('protocol', [0, 2, 4, 5])
def test_data_is_read(tmp_path, protocol):
    data = dict(a=np.arange(4.), b=np.float32(2), c=np.array(['x']), d=[(1, {2}, b'3', None, True, 1j)],
                e=OrderedDict(a=1), f=np.zeros((2, 2), np.int32).T, g=np.bool_(True))
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(data, protocol=protocol))
    read = load_plain_pickle(str(path))
    assert read.keys() == data.keys() and all(np.array_equal(read[key], data[key]) for key in 'abcfg')
    assert read['d'] == data['d'] and read['e'] == data['e']


@pytest.mark.parametrize('content', [b'', b'hello', pickle.dumps(infos())[:-9], b'{"a": 1}'])
def test_damaged(tmp_path, content):
    (tmp_path / 'cut.pkl').write_bytes(content)
    with pytest.raises(InfoFileError, match='cut.pkl cannot be read.*truncated or no pickle'):
        check_info_file(str(tmp_path / 'cut.pkl'))


def test_missing():
    with pytest.raises(InfoFileError, match='nowhere.pkl does not exist.*ann_file'):
        check_info_file('/tmp/nowhere.pkl')


def test_files_named_by_the_info(tmp_path):
    data = infos(images=dict(CAM_A=dict(img_path='a.jpg'), CAM_B=dict(img_path='b.jpg')),
                 pts_semantic_mask_path='s.bin')
    path = write(tmp_path / 'a.pkl', data)
    prefixes = dict(pts=str(tmp_path / 'lidar'), CAM_A=str(tmp_path / 'a'), img=str(tmp_path / 'img'),
                    pts_semantic_mask=str(tmp_path))
    files = [('lidar', 'lidar/a.bin'), ('camera', 'a/a.jpg'), ('camera', 'img/b.jpg'), ('masks', 's.bin')]
    for kind, name in files:
        with pytest.raises(InfoFileError, match=f'missing, the first is .*{name}'):
            check_info_file(path, prefixes=prefixes, modality=[kind])
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    check_info_file(path, prefixes=prefixes, modality=['lidar', 'camera', 'masks'])


def test_unknown_class(tmp_path):
    with pytest.raises(InfoFileError, match="here: unknown class 'pedestrain'; did you mean 'pedestrian'"):
        check_class_names(['car', 'pedestrain'], CLASSES, 'here')
    with pytest.raises(InfoFileError, match="unknown class 'zzz'; known are car, pedestrian"):
        check_class_names(['zzz'], CLASSES, 'here')
    with pytest.raises(InfoFileError, match="a.pkl: unknown class 'Car'; did you mean 'car'"):
        check_info_file(write(tmp_path / 'a.pkl', infos()), classes=['Car'])


@pytest.mark.skipif(not REAL.is_dir(), reason='real nuScenes keyframe is not here')
def test_real_keyframe():
    info, = REAL.glob('*.pkl')
    data = check_info_file(str(info), classes=['car', 'barrier'], prefixes=dict(pts=str(REAL), img=str(REAL)),
                           modality=['lidar', 'camera'])
    assert len(data['data_list']) == 1
    for box in data['data_list'][0]['instances']:
        box['bbox_3d'][3], box['bbox_3d'][4] = box['bbox_3d'][4], box['bbox_3d'][3]
    names = [name for name, _ in sorted(data['metainfo']['categories'].items(), key=lambda item: item[1])]
    wide, seen = count_wide_boxes(data['data_list'], names)
    assert seen >= 10 and wide > seen / 2


@pytest.mark.parametrize('spoil, where', [
    (lambda data: data.update(metainfo=[1]), 'metainfo'),
    (lambda data: data['metainfo'].update(categories=dict(car='x')), 'metainfo'),
    (lambda data: data['data_list'].__setitem__(1, 'x'), r'data_list\[1\]'),
    (lambda data: data['metainfo'].update(categories=np.zeros(2)), 'metainfo'),
    (lambda data: data['data_list'][1].update(instances=np.zeros(2)), r"data_list\[1\]\['instances'\]"),
    (lambda data: data['data_list'][1].update(instances=3), r"data_list\[1\]\['instances'\]"),
    (lambda data: data['data_list'][1]['instances'][0].update(bbox_label_3d='x'), r'data_list\[1\], instance 0'),
    (lambda data: data['data_list'][1].update(lidar_points=3), r"data_list\[1\]\['lidar_points'\]"),
    (lambda data: data['data_list'][1].update(lidar_points=dict(lidar_path=b'x')), r'the paths of data_list\[1\]'),
    (lambda data: data['data_list'][1].update(images=dict(CAM=3)), r'the paths of data_list\[1\]')])
def test_values_of_wrong_types_are_told_by_place(tmp_path, spoil, where):
    box = dict(bbox_label_3d=0, bbox_3d=[0., 0, 0, 4, 2, 1, 0])
    data = dict(metainfo=dict(categories=dict(car=0)), data_list=[
        dict(lidar_points=dict(lidar_path='a.bin'), instances=[dict(box)]) for _ in range(2)])
    (tmp_path / 'infos.pkl').write_bytes(pickle.dumps(data))
    check_info_file(str(tmp_path / 'infos.pkl'))
    spoil(data)
    (tmp_path / 'infos.pkl').write_bytes(pickle.dumps(data))
    with pytest.raises(InfoFileError, match=f'infos.pkl is damaged in {where}: make it again'):
        check_info_file(str(tmp_path / 'infos.pkl'))


def test_what_mmdet3d_cannot_read_of_a_list_names_the_list():
    def load_data_list(error):
        raise error

    with pytest.raises(InfoFileError, match="A cannot be made of info file b.pkl .KeyError: 'c'.*damaged"):
        with naming('A', 'b.pkl'):
            load_data_list(KeyError('c'))
    with pytest.raises(ValueError, match='^b.pkl is odd$'):
        with naming('A', 'b.pkl'):
            load_data_list(ValueError('b.pkl is odd'))
    with pytest.raises(KeyError):  # no fault of the list
        with naming('A', 'b.pkl'):
            raise KeyError('transform')
