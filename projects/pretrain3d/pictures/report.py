"""One HTML file with everything in it: text, tables, charts and pictures. No script, nothing loaded from elsewhere."""
import base64
import html
import io
from pathlib import Path
from typing import Any, Iterable, Sequence, Tuple

from PIL import Image

from ..files import write_atomic

STYLE = '''
:root { color-scheme: light; --ink: #1e1e22; --faint: #6b6b73; --line: #e2e4ea; --soft: #f4f5f8; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, Arial, sans-serif; }
main { max-width: 1640px; margin: 0 auto; padding: 24px 28px 60px; }
h1 { font-size: 28px; margin: 8px 0 4px; } h2 { font-size: 21px; margin: 44px 0 8px; }
h3 { font-size: 16px; margin: 26px 0 6px; }
p { max-width: 82ch; margin: 8px 0; } .note { color: var(--faint); font-size: 14px; }
.warning { background: #fff6df; border-left: 4px solid #e0a800; padding: 8px 14px; max-width: 90ch; }
.facts { display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0; }
.facts div { background: var(--soft); border-radius: 8px; padding: 10px 18px; }
.facts b { display: block; font-size: 24px; line-height: 1.2; } .facts span { color: var(--faint); font-size: 14px; }
.gallery { display: grid; gap: 10px; } figure { margin: 0; }
.gallery img, .gallery svg { width: 100%; height: auto; display: block; }
.gallery img { border: 1px solid var(--line); border-radius: 6px; }
figcaption { font-size: 14px; color: var(--faint); padding: 3px 2px; }
@media (max-width: 900px) { .gallery { grid-template-columns: repeat(2, 1fr) !important; } }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 14px; margin: 8px 0 12px; }
.swatch { display: inline-block; width: 14px; height: 14px; border-radius: 3px; margin-right: 6px;
  vertical-align: -2px; border: 1px solid rgba(0, 0, 0, .18); }
table { border-collapse: collapse; font-size: 15px; margin: 10px 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 3px 16px 3px 0; border-bottom: 1px solid var(--line); }
th { color: var(--faint); font-weight: 600; } tr.total td { font-weight: 700; border-top: 2px solid var(--faint); }
.bar { display: inline-block; width: 220px; height: 12px; background: var(--soft); margin-right: 10px; }
.bar i { display: block; height: 100%; }
pre { background: var(--soft); border-radius: 6px; padding: 12px 16px; overflow-x: auto; font-size: 13px; }
'''


class Html(str):
    """Text that is markup already; every other value is escaped."""


def markup(value: Any) -> Html:
    """``value`` as markup: escaped unless it is :class:`Html`."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def join(parts: Iterable[Any], between: str = '\n') -> Html:
    """All ``parts`` as one piece of markup."""
    return Html(between.join(map(markup, parts)))


def element(name: str, content: Any, **attributes: str) -> Html:
    """``<name ...>content</name>``; ``class_`` and ``font_size`` mean class and font-size."""
    listed = ''.join(f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
                     for key, value in attributes.items())
    return Html(f'<{name}{listed}>{markup(content)}</{name}>')


def paragraph(content: Any, kind: str = '') -> Html:
    """A paragraph; ``kind``: '', 'note' (small) or 'warning' (set off)."""
    return element('p', content, **(dict(class_=kind) if kind else {}))


def section(title: str, *parts: Any) -> Html:
    """A heading and what stands below it."""
    return element('section', join([element('h2', title), *parts]))


def facts(pairs: Sequence[Tuple[str, str]]) -> Html:
    """A row of (large value, what it is)."""
    return element('div', join(element('div', join([element('b', value), element('span', name)]))
                               for value, name in pairs), class_='facts')


def swatch(colour: Sequence[int]) -> Html:
    """A small square of (red, green, blue), 0 ... 255."""
    return element('span', '', class_='swatch', style=f'background: {_hex(colour)}')


def legend(entries: Iterable[Tuple[str, Sequence[int]]]) -> Html:
    """(name, colour) pairs in a line."""
    return element('div', join(element('span', join([swatch(colour), name], '')) for name, colour in entries),
                   class_='legend')


def bar(share: float, colour: Sequence[int], text: str) -> Html:
    """A bar of a share in 0 ... 1 with ``text`` behind it."""
    filled = element('i', '', style=f'width: {100 * min(max(share, 0.0), 1.0):.1f}%; background: {_hex(colour)}')
    return join([element('span', filled, class_='bar'), text], '')


def table(header: Sequence[Any], rows: Sequence[Sequence[Any]], totals: int = 0) -> Html:
    """A table; its last ``totals`` rows are set off as sums or means."""
    lines = [element('tr', join(element('th', cell) for cell in header))]
    for number, row in enumerate(rows):
        kind = dict(class_='total') if number >= len(rows) - totals else {}
        lines.append(element('tr', join(element('td', cell) for cell in row), **kind))
    return element('table', join(lines))


def picture(image: Image.Image, caption: Any) -> Html:
    """The image itself, as PNG, with a caption below."""
    buffer = io.BytesIO()
    image.save(buffer, 'PNG', optimize=True)
    source = 'data:image/png;base64,' + base64.b64encode(buffer.getvalue()).decode()
    alt = html.escape(str(caption))
    return element('figure', join([Html(f'<img src="{source}" alt="{alt}" width="{image.width}" '
                                        f'height="{image.height}">'), element('figcaption', caption)]))


def gallery(figures: Sequence[Html], columns: int) -> Html:
    """Figures side by side, ``columns`` in a row."""
    return element('div', join(figures), class_='gallery',
                   style=f'grid-template-columns: repeat({columns}, 1fr)')


def preformatted(lines: Iterable[str]) -> Html:
    """Commands or program output, one a line."""
    return element('pre', '\n'.join(lines))


def page(title: str, *parts: Any) -> Html:
    """The whole document."""
    head = join([Html('<meta charset="utf-8">'),
                 Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
                 element('title', title), Html(f'<style>{STYLE}</style>')])
    body = element('body', element('main', join([element('h1', title), *parts])))
    return Html('<!DOCTYPE html>\n' + element('html', join([element('head', head), body]), lang='en') + '\n')


def write_page(path: Path, document: Html) -> None:
    """Write the document whole or not at all."""
    write_atomic(path, document.encode())


def _hex(colour: Sequence[int]) -> str:
    return '#' + ''.join(f'{int(part):02x}' for part in colour)
