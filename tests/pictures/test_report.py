"""The HTML builder: well-formed, escaped, self-contained."""
import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from pretrain3d.pictures import report

VOID = {'meta', 'img', 'br', 'link'}


class Nesting(HTMLParser):
    """Collects tags and attributes; fails where an element is not closed by its own tag."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_page_is_nested_and_loads_nothing():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8))
    document = report.page(
        'A <title> & more', report.paragraph('x < y', 'note'), report.facts([('0.5', 'mean <IoU>')]),
        report.section('One', report.table(['a', 'b'], [[1, report.bar(0.25, (255, 0, 16), '0.25')], [2, 'b & c']], 1),
                       report.legend([('wall', (1, 2, 3))]), report.preformatted(['a "quoted" <word>', 'second'])),
        report.gallery([report.picture(image, 'say "cheese" > milk')], 2))
    page = Nesting(document)
    assert document.startswith('<!DOCTYPE html>') and page.text.count('A <title> & more') == 2
    assert 'a "quoted" <word>\nsecond' in page.text and 'x < y' in page.text and 'mean <IoU>' in page.text
    assert not {tag for tag, _ in page.tags} & {'script', 'link', 'iframe'}
    assert not re.search(r'https?:|@import|url\(', document)
    shown = next(attributes for tag, attributes in page.tags if tag == 'img')
    assert shown['alt'] == 'say "cheese" > milk' and (shown['width'], shown['height']) == ('7', '5')
    kind, data = shown['src'].split(',')
    assert kind == 'data:image/png;base64'
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), np.asarray(image))


def test_bar_shows_its_share_and_stays_inside():
    for share, width in ((0.25, '25.0%'), (-1, '0.0%'), (7, '100.0%')):
        filled = Nesting(report.bar(share, (255, 0, 16), 'text')).tags[1][1]['style']
        assert f'width: {width}' in filled and '#ff0010' in filled


def test_only_markup_is_left_as_it_is():
    assert report.markup('<b>') == '&lt;b&gt;' and report.markup(report.Html('<b>')) == '<b>'
    assert report.join(['<', report.Html('<i></i>')], '') == '&lt;<i></i>'
    tag = report.element('p', 'x', class_='a', font_size='"')
    assert tag == '<p class="a" font-size="&quot;">x</p>'


def test_only_the_last_rows_are_totals():
    rows = re.findall(r'<tr[^>]*>', report.table(['h'], [[1], [2], [3]], totals=1))
    assert rows == ['<tr>', '<tr>', '<tr>', '<tr class="total">']


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / 'page.html'
    report.write_page(path, report.Html('first ü'))
    assert path.read_text(encoding='utf-8') == 'first ü'
    with pytest.raises(UnicodeEncodeError):
        report.write_page(path, report.Html('broken \ud800'))
    assert path.read_text(encoding='utf-8') == 'first ü' and list(tmp_path.iterdir()) == [path]
