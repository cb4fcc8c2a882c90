"""Words of every class, and the files of their vectors."""
import json
import subprocess
import sys

import numpy as np
import pytest

from pretrain3d.label_spaces import (LABEL_SPACES, TextBank, UnknownNameError, class_text, open_text_bank,
                                     stand_in_bank)
from pretrain3d.label_spaces.texts import all_texts

SOURCE = dict(encoder='drawn', checkpoint='', templates=['{}'])


def test_words_of_classes():
    assert class_text('ScanNet20', 'showercurtrain') == 'shower curtain' == class_text('ScanNet200', 'shower curtain')
    assert class_text('SemanticKITTI19', 'traffic-sign') == 'traffic sign'
    assert class_text('SemanticKITTI19', 'bicyclist') == class_text('Waymo22', 'bicyclist')
    assert class_text('nuScenes16', 'driveable_surface') == 'path suitable or safe for driving'
    assert class_text('Waymo22', 'walkable') != class_text('Waymo22', 'sidewalk')
    assert class_text('nuScenesDet10', 'construction_vehicle') == 'construction vehicle'
    with pytest.raises(UnknownNameError, match="'chiar'; did you mean 'chair'"):
        class_text('S3DIS13', 'chiar')
    for space in LABEL_SPACES.values():
        assert len({class_text(space.name, name) for name in space.classes}) == space.num_classes


def test_released_union_of_indoor_words():
    """The 36 names of Point Prompt Training's indoor models, of which none of the three has 'garbagebin'."""
    words = {class_text(space, name) for space in ('Structured3D25', 'ScanNet20', 'S3DIS13')
             for name in LABEL_SPACES[space].classes}
    assert len(words) == 35
    outdoor = [LABEL_SPACES[space].num_classes for space in ('SemanticKITTI19', 'nuScenes16', 'Waymo22')]
    assert outdoor == [19, 16, 22]


def test_stand_in_has_every_class_apart_and_always_the_same():
    bank = stand_in_bank()
    assert sorted(bank.texts) == all_texts() and bank.embeddings.shape == (len(bank.texts), 512)
    close = bank.embeddings @ bank.embeddings.T - np.eye(len(bank.texts))
    assert close.max() < 0.9
    assert bank.rows(['office chair']) @ bank.rows(['chair']).T > 0.3 > abs(bank.rows(['sink']) @ bank.rows(['rail']).T)
    code = 'from pretrain3d.label_spaces import stand_in_bank as b; print(b().embeddings.tobytes().hex()[:4096])'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True,
                          env={'PRETRAIN3D_LIGHT': '1', 'PYTHONPATH': ':'.join(sys.path), 'PYTHONHASHSEED': '7'})
    assert done.stdout.strip() == bank.embeddings.tobytes().hex()[:4096]


def test_files(tmp_path):
    bank = stand_in_bank(['a chair', 'a table'], channels=32)
    bank.save(tmp_path / 'bank.npz')
    again = open_text_bank(tmp_path / 'bank.npz')
    assert again.texts == bank.texts and again.manifest == bank.manifest
    assert np.array_equal(again.embeddings, bank.embeddings) and again.embeddings.dtype == np.float32
    assert again.indices(['A_Table', 'a chair']) == [1, 0]
    with np.load(tmp_path / 'bank.npz', allow_pickle=False) as data:
        assert json.loads(str(data['manifest'][()]))['texts'] == ['a chair', 'a table']
    with pytest.raises(UnknownNameError, match="'a chiar'; did you mean 'a chair'.*build_text_bank.py --text"):
        bank.rows(['a chiar'])


def test_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match='build_text_bank.py'):
        TextBank.load(tmp_path / 'none.npz')
    (tmp_path / 'torn.npz').write_bytes(b'PK\x03\x04 torn')
    np.savez(tmp_path / 'other.npz', rows=np.zeros(3))
    np.savez(tmp_path / 'pickle.npz', embeddings=np.ones((1, 2)), manifest=np.array([{}], dtype=object))
    for name in ('torn', 'other', 'pickle'):
        with pytest.raises(ValueError, match=f'{name}.npz is no text bank'):
            TextBank.load(tmp_path / f'{name}.npz')


def test_impossible_banks():
    rows = np.eye(2, dtype=np.float32)
    with pytest.raises(ValueError, match='1 texts but'):
        TextBank(('a',), rows, SOURCE)
    with pytest.raises(ValueError, match='same words'):
        TextBank(('a b', 'A_b'), rows, SOURCE)
    for wrong in (rows * 2, rows * np.nan):
        with pytest.raises(ValueError, match="'a' is no unit vector"):
            TextBank(('a', 'b'), wrong, SOURCE)
    with pytest.raises(ValueError, match='checkpoint'):
        TextBank(('a', 'b'), rows, dict(encoder='drawn', templates=[]))
