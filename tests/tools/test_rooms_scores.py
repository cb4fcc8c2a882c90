"""tools/_rooms_scores.py: means over seeds, paired differences, the printed table."""
import importlib
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def scores(monkeypatch):
    """The module."""
    monkeypatch.syspath_prepend(TOOLS)
    return importlib.import_module('_rooms_scores')


def runs():
    def run(mean, **classes):
        return SimpleNamespace(scores={'miou/vertex': mean, **{f'iou_vertex/{name}': iou
                                                               for name, iou in classes.items()}})
    return {'scratch': [run(0.2, wall=0.1, sofa=0.3), run(0.4, wall=0.4)],
            'pre-trained': [run(0.5, wall=0.5), run(0.3, wall=0.7, chair=0.25)]}


def test_means_and_differences(scores):
    found = scores.means(runs())
    assert found['scratch'] == pytest.approx({'miou/vertex': 0.3, 'iou_vertex/wall': 0.25, 'iou_vertex/sofa': 0.3})
    assert found['pre-trained']['iou_vertex/wall'] == pytest.approx(0.6)
    assert scores.differences(runs()) == pytest.approx([0.3, -0.1])
    assert scores.spread([0.3, -0.1], '+.3f') == '+0.100 (-0.100 to +0.300)' and scores.spread([0.25]) == '0.250'


def test_printed_table(scores, capsys):
    scores.print_scores(runs(), [4, 5])
    lines = [re.split(r'\s{2,}', line.strip()) for line in capsys.readouterr().out.splitlines()]
    for expected in (['scratch', 'pre-trained', 'difference'], ['wall', '0.250', '0.600', '+0.350'],
                     ['sofa', '0.300', '–', '–'], ['chair', '–', '0.250', '–'],
                     ['mean', '0.300', '0.400', '+0.100'],
                     ['mean, seed 4', '0.200', '0.500', '+0.300'], ['mean, seed 5', '0.400', '0.300', '-0.100'],
                     ['paired difference of the mean IoU: +0.100 (-0.100 to +0.300)']):
        assert expected in lines, expected
    assert any('docs/scene_contexts.md' in part for line in lines for part in line)
