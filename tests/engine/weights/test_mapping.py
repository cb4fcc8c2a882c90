"""Keys and the records of their modules move together."""
from collections import OrderedDict

import pytest
import torch
from torch import nn

from pretrain3d.engine.weights import WeightsError, map_state, register_mapping
from pretrain3d.engine.weights.mapping import MAPPINGS, parse_renames

STATE = {'net.stem.0.weight': torch.ones(1), 'net.stem.0.bias': torch.zeros(1), 'net.out.weight': torch.ones(2),
         'head.weight': torch.ones(3)}
METADATA = {'': dict(version=1), 'net': dict(version=5), 'net.stem': dict(version=6), 'net.stem.0': dict(version=7),
            'net.out': dict(version=8), 'head': dict(version=9)}


def test_prefix_rename_and_metadata():
    state = map_state(STATE, METADATA, 'net', [(r'^stem\.0\.', 'conv_input.'), ('^out', 'conv_out.2')])
    assert list(state.tensors) == ['conv_input.weight', 'conv_input.bias', 'conv_out.2.weight']
    assert state.origin['conv_input.bias'] == 'net.stem.0.bias' and state.outside == 1
    assert state.metadata['conv_input'] == dict(version=7) and state.metadata['conv_out.2'] == dict(version=8)
    assert dict(version=9) not in state.metadata.values()


def test_parents_follow_as_long_as_names_agree():
    state = map_state(STATE, METADATA, 'net')
    assert state.metadata == {'stem.0': dict(version=7), 'stem': dict(version=6), '': dict(version=5),
                              'out': dict(version=8)}


def test_metadata_of_a_real_state_dict_follows():
    """Renaming a whole sub-module gives the metadata that the renamed module itself would have written."""
    inner = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Sequential(nn.BatchNorm2d(2), nn.Linear(2, 2)))
    before, after = nn.ModuleDict(dict(a=nn.ModuleDict(dict(b=inner)))), nn.ModuleDict(dict(x=inner))
    state = before.state_dict()
    moved = map_state(state, state._metadata, 'a', [(r'^b\.', 'x.')])
    assert list(moved.tensors) == list(after.state_dict())
    expected = after.state_dict()._metadata
    assert {path: entry for path, entry in moved.metadata.items() if path} == {
        path: entry for path, entry in expected.items() if path}


def test_prefix_is_a_module_path_not_a_string():
    assert not map_state(STATE, {}, 'ne').tensors


def test_collision_and_idle_pattern_are_errors():
    with pytest.raises(WeightsError, match='net.stem.0.bias, are both renamed to stem.0.x'):
        map_state(STATE, {}, 'net', [('weight|bias', 'x')])
    with pytest.raises(WeightsError, match="pattern 'steam' matches no key"):
        map_state(STATE, {}, 'net', [('steam', 'x')])


def test_named_mapping():

    @register_mapping('test_only')
    def no_bias(state):
        assert state._metadata['stem.0'] == dict(version=7)
        mapped = OrderedDict(('t.' + key, tensor + 1) for key, tensor in state.items() if not key.endswith('bias'))
        mapped._metadata = {'t.stem.0': dict(version=11)}
        return mapped

    try:
        state = map_state(STATE, METADATA, 'net', [('^t.stem.0', 's')], 'test_only')
        assert list(state.tensors) == ['s.weight', 't.out.weight'] and state.tensors['s.weight'] == 2
        assert state.metadata == {'s': dict(version=11)}
        with pytest.raises(WeightsError, match="no weight mapping is called 'test_onyl'"):
            map_state(STATE, METADATA, 'net', (), 'test_onyl')
        with pytest.raises(KeyError, match='registered already'):
            register_mapping('test_only')(lambda state: state)
    finally:
        MAPPINGS.pop('test_only')


def test_command_line_renames():
    assert parse_renames(['a=b', r'^c\.=']) == [('a', 'b'), (r'^c\.', '')]
    with pytest.raises(WeightsError, match="PATTERN=REPLACEMENT, but got 'ab'"):
        parse_renames(['ab'])
