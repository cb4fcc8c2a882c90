"""The rules that every label space follows, and the look-ups."""
import copy
import pickle

import numpy as np
import pytest

from pretrain3d.label_spaces import LABEL_SPACES, LabelSpace, UnknownNameError, get_label_space

SPACES = list(LABEL_SPACES.values())
by_name = pytest.mark.parametrize('space', SPACES, ids=lambda space: space.name)
TOY = dict(name='toy', classes=('traffic cone', 'car'), palette=((0, 0, 0), (255, 1, 2)))


def test_the_names_and_sizes():
    sizes = {space.name: space.num_classes for space in SPACES}
    assert sizes == dict(ScanNet20=20, ScanNet200=200, S3DIS13=13, Structured3D25=25, nuScenes16=16, nuScenesDet10=10,
                         SemanticKITTI19=19, Waymo22=22)
    assert all(get_label_space(name) is space and space.name == name for name, space in LABEL_SPACES.items())


@by_name
def test_indices_come_from_names(space):
    assert space.indices(space.classes) == list(range(space.num_classes))
    assert space.indices(name.upper().replace(' ', '_').replace('-', ' ') for name in space.classes) == list(
        range(space.num_classes))
    assert space.ignore_index == space.num_classes == len(space.palette)
    assert len(set(space.palette)) == space.num_classes, 'two classes share a colour'


@by_name
def test_raw_ids_map_like_a_dictionary(space):
    if not space.raw_pairs:
        with pytest.raises(ValueError, match='no raw ids'):
            space.map_raw([1])
        return
    mapping = space.raw_to_index
    assert set(mapping.values()) == set(range(space.num_classes)), 'a class that no raw id reaches'
    raw = np.arange(-5, max(mapping) + 10)
    expected = [mapping.get(value, space.ignore_index) for value in raw.tolist()]
    assert space.map_raw(raw).tolist() == expected
    assert space.map_raw(raw.reshape(1, -1)).shape == (1, len(raw))
    for dtype in (np.uint8, np.uint16, np.uint32, np.uint64, np.int32):
        values = np.array([0, 1, 40, np.iinfo(dtype).max], dtype)
        out = space.map_raw(values)
        assert out.dtype == np.int64
        assert out.tolist() == [mapping.get(int(value), space.ignore_index) for value in values]
    assert space.map_raw(np.zeros((0, 2), np.int64)).shape == (0, 2) and space.map_raw([]).shape == (0,)
    with pytest.raises(TypeError, match='raw'):
        space.map_raw(np.ones(3))


def test_changing_what_is_returned_changes_nothing():
    space = get_label_space('ScanNet20')
    space.raw_to_index.clear()
    space.metainfo()['palette'].clear()
    space.metainfo()['palette'][0].clear()
    space.metainfo()['seg_label_mapping'].clear()
    space.map_raw(np.arange(41))[:] = 0
    assert space.map_raw([2]).tolist() == [1] and space.raw_to_index[2] == 1
    assert len(space.metainfo()['palette'][0]) == 3 and len(space.metainfo()['seg_label_mapping']) == 40
    with pytest.raises(AttributeError):
        space.name = 'other'


@by_name
def test_copies_and_pickles_are_equal(space):
    for twin in (copy.deepcopy(space), pickle.loads(pickle.dumps(space))):
        assert twin == space and hash(twin) == hash(space) and twin.index(space.classes[-1]) == space.num_classes - 1


@pytest.mark.parametrize('name, alias, wanted', [
    ('ScanNet20', 'refridgerator', 'refrigerator'), ('ScanNet20', 'showercurtrain', 'shower curtain'),
    ('ScanNet20', 'showercurtain', 'shower curtain'), ('Structured3D25', 'refridgerator', 'refrigerator'),
    ('S3DIS13', 'stairs', 'clutter'), ('nuScenes16', 'drivable surface', 'driveable_surface'),
    ('SemanticKITTI19', 'bus', 'other-vehicle'), ('SemanticKITTI19', 'trunck', 'trunk'),
    ('SemanticKITTI19', 'terrian', 'terrain'), ('Waymo22', 'trunk', 'tree trunk')])
def test_other_spellings(name, alias, wanted):
    space = get_label_space(name)
    assert space.classes[space.index(alias)] == wanted


@pytest.mark.parametrize('error', [KeyError, ValueError, UnknownNameError])
def test_an_unknown_class_names_the_nearest_and_the_list(error):
    with pytest.raises(error) as caught:
        get_label_space('ScanNet20').index('otherfurnitures')
    text = str(caught.value)
    assert "'otherfurnitures'" in text and "did you mean 'otherfurniture'?" in text
    assert "get_label_space('ScanNet20').classes" in text and not text.startswith('"')


@pytest.mark.parametrize('bad', ['zzzzzz', '', 3, None])
def test_an_unknown_class_without_a_neighbour(bad):
    with pytest.raises(UnknownNameError, match='unknown class of Waymo22') as caught:
        get_label_space('Waymo22').index(bad)
    assert 'did you mean' not in str(caught.value)


@pytest.mark.parametrize('bad, near', [('scannet20', 'ScanNet20'), ('nuscenes', 'nuScenes16'), (7, None), ([], None)])
def test_an_unknown_space(bad, near):
    with pytest.raises(UnknownNameError, match='Structured3D25') as caught:
        get_label_space(bad)
    assert near is None or f'did you mean {near!r}' in str(caught.value)


def test_a_single_string_is_no_list_of_names():
    with pytest.raises(TypeError, match='names'):
        get_label_space('ScanNet20').indices('chair')


@pytest.mark.parametrize('change, word', [
    (dict(classes=('Car', 'c-a-r')), 'same name'), (dict(palette=((0, 0, 0),)), 'colours'),
    (dict(palette=((0, 0, 0), (0, 0, 256))), 'colour'), (dict(raw_pairs=((3, 0), (3, 1))), 'twice'),
    (dict(raw_pairs=((3, 2),)), 'indices'), (dict(raw_pairs=((-1, 0),)), 'raw ids'),
    (dict(mmdet3d_classes=('a',)), 'mmdet3d'), (dict(aliases=(('CAR', 'traffic cone'),)), 'another class')])
def test_a_wrong_space_is_refused(change, word):
    assert LabelSpace(**TOY).index('Traffic_Cone') == 0
    with pytest.raises(ValueError, match=word):
        LabelSpace(**{**TOY, **change})


def test_metainfo_lists_every_raw_id_and_both_spellings():
    space = get_label_space('SemanticKITTI19')
    info = space.metainfo()
    assert info['classes'][15] == 'trunck' and space.metainfo(own_names=True)['classes'] == space.classes
    assert info['label2cat'] == dict(enumerate(info['classes'])) and info['ignore_index'] == 19
    assert info['max_label'] == 259 and list(info['seg_label_mapping']) == list(range(260))
    assert info['seg_label_mapping'][2] == 19 and info['seg_label_mapping'][256] == 4
    assert 'seg_valid_class_ids' not in info  # several raw ids for one class
    assert 'max_label' not in get_label_space('nuScenesDet10').metainfo()
    waymo = get_label_space('Waymo22').metainfo()
    assert waymo['seg_valid_class_ids'] == tuple(range(1, 23)) and waymo['seg_all_class_ids'] == tuple(range(23))
