"""mmengine's formatting of config texts, remembered."""
import pytest
from mmengine.config import Config, config

import pretrain3d  # noqa: F401  applies the mend
from pretrain3d.engine.compat.config_text import _KEPT, remember


def test_same_text_is_formatted_once():
    calls = []

    def format_code(text, style):
        calls.append((text, style))
        if text == 'bad':
            raise SyntaxError(text)
        return text.upper(), True

    kept = remember(format_code)
    assert kept('a', style=dict(x=1)) == kept('a', style=dict(x=1)) == ('A', True) and len(calls) == 1
    kept('a', style=dict(x=2))
    assert len(calls) == 2
    for _ in range(2):
        with pytest.raises(SyntaxError):
            kept('bad', style={})
    assert len(calls) == 4
    for index in range(_KEPT):
        kept(str(index), style={})
    kept('a', style=dict(x=1))  # forgotten meanwhile
    assert len(calls) == 4 + _KEPT + 1


def test_a_changed_config_has_its_new_text():
    assert hasattr(config.FormatCode, '__wrapped__')
    cfg = Config(dict(model=dict(type='A', width=3)))
    before = cfg.pretty_text
    assert cfg.pretty_text == before
    cfg.model.width = 4
    assert 'width=4' in cfg.pretty_text.replace(' ', '') and 'width=4' not in before.replace(' ', '')
