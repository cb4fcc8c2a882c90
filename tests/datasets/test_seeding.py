import pickle
import random

import numpy as np
import pytest
import torch

from pretrain3d.datasets.seeding import SeededFetch, SeededIndex, install_seeding, seeded


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_same_key_same_draws_and_any_other_key_others():
    def under(key):
        with seeded(key):
            return draw()
    assert under((1, 2, 3)) == under((1, 2, 3))
    values = [under(key) for key in [(1, 2, 3), (1, 2, 4), (1, 3, 3), (2, 2, 3), (3, 2, 1)]]
    for column in zip(*values):
        assert len(set(column)) == len(values)


def test_generators_of_the_process_are_put_back_even_after_an_error():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = draw()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    with pytest.raises(KeyError):
        with seeded((7, 7)):
            draw()
            raise KeyError
    assert draw() == expected


def test_index_is_an_int_that_survives_pickling():
    index = pickle.loads(pickle.dumps(SeededIndex(5, (1, 2))))
    assert index == 5 and [10, 11, 12, 13, 14, 15][index] == 15 and index.key == (1, 2)


class Noise:
    def __getitem__(self, index):
        assert type(index) is int
        return index, np.random.rand()


def test_seeding_survives_pickling_of_the_dataset_and_is_installed_once():
    dataset = Noise()
    install_seeding(dataset)
    first = dataset.__getitems__
    install_seeding(dataset)
    assert dataset.__getitems__ is first
    copy = pickle.loads(pickle.dumps(dataset))  # what a spawned worker gets
    index = SeededIndex(3, (0, 9))
    assert copy.__getitems__([index]) == dataset.__getitems__([index])
    assert isinstance(copy.__getitems__, SeededFetch) and copy.__getitems__.dataset is copy


def test_a_plain_index_is_not_seeded():
    dataset = Noise()
    install_seeding(dataset)
    assert dataset.__getitems__([1]) != dataset.__getitems__([1])


def test_errors(monkeypatch):
    with pytest.raises(TypeError, match='list'):
        install_seeding([1, 2])
    monkeypatch.setattr(torch, '__version__', '1.13.1')
    with pytest.raises(RuntimeError, match='torch >= 2.0'):
        install_seeding(Noise())
