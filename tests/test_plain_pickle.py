import collections
import datetime
import os
import pickle

import numpy as np
import pytest

from pretrain3d.plain_pickle import DataUnpickler, PlainPickleError, load_plain


class Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_comes_back_whatever_the_protocol(tmp_path, protocol):
    data = dict(a=[1, 2.5, None, True, 'é', b'x'], b=(1, {2}), c=collections.OrderedDict(x=np.float32(1)),
                d=np.arange(6).reshape(2, 3), e=np.array(['a', None], object))
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(data, protocol))
    found = load_plain(tmp_path / 'a.pkl')
    np.testing.assert_array_equal(found.pop('d'), data.pop('d'))
    np.testing.assert_array_equal(found.pop('e'), data.pop('e'))
    assert found == data


def test_code_is_refused_and_not_run(tmp_path):
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps([Runs(tmp_path / 'made')]))
    with pytest.raises(PlainPickleError, match='a.pkl is refused.*mkdir') as error:
        load_plain(tmp_path / 'a.pkl')
    assert error.value.refused and not (tmp_path / 'made').exists()


@pytest.mark.parametrize('content', [b'', b'\x80', b'{"a": 1}', pickle.dumps(list(range(99)))[:-9],
                                     b'\x80\x04\x8e' + b'\xff' * 7 + b'\x00.', b'\x80\x04C\xffabc.'])
def test_what_is_no_pickle_is_named(tmp_path, content):
    (tmp_path / 'a.pkl').write_bytes(content)
    with pytest.raises(PlainPickleError, match='a.pkl cannot be read') as error:
        load_plain(tmp_path / 'a.pkl')
    assert not error.value.refused


def test_a_format_may_hold_more(tmp_path):
    class Dated(DataUnpickler):
        also = frozenset({('datetime', 'date')})

    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(datetime.date(2020, 1, 2)))
    with pytest.raises(PlainPickleError, match='datetime.date'):
        load_plain(tmp_path / 'a.pkl')
    assert load_plain(tmp_path / 'a.pkl', Dated) == datetime.date(2020, 1, 2)
