"""Line charts: where the points are put, what the axes say."""
import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from pretrain3d.pictures.charts import COLOURS, HEIGHT, WIDTH, Series, line_chart, ticks


def drawn(chart):
    return ElementTree.fromstring(chart).find('svg')


def positions(svg):
    return [np.array([pair.split(',') for pair in line.get('points').split()], float).reshape(-1, 2)
            for line in svg.iter('polyline')]


@pytest.mark.parametrize('low, high', [(0, 1), (0, 300), (-3, 17.2), (0.01, 0.013), (0, 7e-5)])
def test_ticks_are_round_inside_and_even(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 7 and low - 1e-12 <= found[0] and found[-1] <= high + 1e-12
    steps = np.diff(found)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-6)
    leading = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-9)
    assert min(abs(leading - round_one) for round_one in (1, 2, 5)) < 1e-6
    assert ticks(2, 2) == [2]


def test_points_lie_where_the_axes_say():
    """Fit the map from value to pixel on the axis' own numbers, then apply it to the line."""
    values = [(0, 4.0), (10, 1.0), (40, 2.5)]
    svg = drawn(line_chart('loss & more', [Series('run', values)], 'steps', 'loss'))
    assert svg.get('aria-label') == 'loss & more'
    numbers = [(float(text.text), float(text.get('x')), float(text.get('y')), text.get('text-anchor'))
               for text in svg.iter('text') if text.text.replace('.', '').isdigit()]
    for axis, (anchor, place) in enumerate((('middle', 1), ('end', 2))):
        marks = [(number[0], number[place]) for number in numbers if number[3] == anchor]
        slope, start = np.polyfit(*zip(*marks), 1)
        shift = 4 if axis else 0  # the text's base line
        expected = [slope * value[axis] + start - shift for value in values]
        np.testing.assert_allclose(positions(svg)[0][:, axis], expected, atol=0.11)
    where = positions(svg)[0]
    assert (where > 0).all() and (where < (WIDTH, HEIGHT)).all()
    assert where[0, 1] < where[2, 1] < where[1, 1]  # larger is higher


def test_several_lines_have_names_colours_and_dots():
    both = [Series('scratch', [(0, 1), (1, 2)], True), Series('other', [(0, 2), (1, 3)])]
    svg = drawn(line_chart('t', both, 'x', 'y'))
    lines = list(svg.iter('polyline'))
    assert [line.get('stroke') for line in lines] == list(COLOURS[:2]) and len(list(svg.iter('circle'))) == 2
    assert {'scratch', 'other'} <= {text.text for text in svg.iter('text')}
    alone = drawn(line_chart('t', [Series('scratch', [(0, 1)])], 'x', 'y'))
    assert 'scratch' not in {text.text for text in alone.iter('text')}


def test_lines_of_one_name_share_colour_and_entry():
    lines = [Series(name, [(0, start), (1, 2)]) for name, start in (('a', 1), ('a', 2), ('b', 0), ('b', 3))]
    svg = drawn(line_chart('t', lines, 'x', 'y'))
    assert [line.get('stroke') for line in svg.iter('polyline')] == [COLOURS[0], COLOURS[0], COLOURS[1], COLOURS[1]]
    texts = [text.text for text in svg.iter('text')]
    assert texts.count('a') == texts.count('b') == 1
    heights = {text.text: float(text.get('y')) for text in svg.iter('text') if text.text in ('a', 'b', 't')}
    assert len(set(heights.values())) == 1 and heights['a'] < min(where[:, 1].min() for where in positions(svg))
    alone = drawn(line_chart('t', lines[:2], 'x', 'y'))
    assert 'a' not in {text.text for text in alone.iter('text')}


def test_values_that_are_not_finite_are_left_out():
    values = [(0, 1.0), (1, math.nan), (2, math.inf), (3, 2.0)]
    whole = drawn(line_chart('t', [Series('a', values)], 'x', 'y'))
    clean = drawn(line_chart('t', [Series('a', [values[0], values[3]])], 'x', 'y'))
    np.testing.assert_array_equal(positions(whole)[0], positions(clean)[0])
    for empty in ([], [Series('a', [])], [Series('a', [(0, math.nan)])]):
        assert 'no values' in [text.text for text in drawn(line_chart('t', empty, 'x', 'y')).iter('text')]
    flat = positions(drawn(line_chart('t', [Series('a', [(5, 0.0)])], 'x', 'y')))[0]
    assert np.isfinite(flat).all()
