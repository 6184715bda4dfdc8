"""Pages: one file of HTML each, readable without scripts, on light and dark screens."""

from __future__ import annotations

import base64
import html
import io
import math
from typing import TYPE_CHECKING

from PIL import Image

from blockseg.io.output.picture import png_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

_STYLE = """
:root { color-scheme: light dark; --ink: #222; --soft: #59616a; --line: #dfe3e7;
        --paper: #fff; --tint: #f4f6f8; --link: #0a5ea8; --bad: #b3261e; --good: #1b7f4b; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e3e6e9; --soft: #a3adb7; --line: #363d45; --paper: #15191d;
          --tint: #1e2429; --link: #7db8f0; --bad: #ff8a80; --good: #6fd3a0; }
  svg [style*='#0072b2'] { filter: brightness(1.5); }
  svg [style*='#d55e00'] { filter: brightness(1.2); } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 1180px; margin: 2em auto; padding: 0 1.5em; }
h1 { font-size: 1.5em; margin-bottom: .2em; overflow-wrap: anywhere; }
h2 { font-size: 1.15em; margin: 2.2em 0 .4em; } h3 { font-size: 1em; margin: 1.2em 0 .3em; }
a { color: var(--link); } .soft, figcaption { color: var(--soft); }
.state { margin-top: 0; } .bad { color: var(--bad); } .good { color: var(--good); }
.figures { display: flex; gap: 1em 2em; flex-wrap: wrap; margin: 1.2em 0; }
.figure b { display: block; font-size: 1.35em; font-weight: 600; line-height: 1.25; }
.figure span { color: var(--soft); font-size: .9em; }
.row { display: grid; gap: 12px; margin: .4em 0 1.2em;
       grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); }
.row.even { grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); }
.row.small { grid-template-columns: repeat(auto-fill, minmax(136px, 1fr)); }
figure { margin: 0; } figcaption { font-size: .87em; line-height: 1.35; margin-top: .25em; }
figure img { width: 100%; height: auto; display: block; background: #000;
             image-rendering: pixelated; border-radius: 3px; }
figure img.map { background: var(--tint); }
.beside { display: flex; flex-wrap: wrap; gap: .6em 1.5em; margin: .4em 0 1.2em; }
.beside img { width: auto; max-width: 100%; } .beside figcaption { flex: 1 1 240px; }
svg { width: 100%; max-width: 900px; height: auto; display: block; color: var(--ink); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 430px), 1fr));
          gap: .6em 1.5em; }
table { border-collapse: collapse; margin: .5em 0; }
th, td { text-align: left; padding: .22em 1.1em .22em 0; vertical-align: top;
         border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
td:first-child { overflow-wrap: break-word; }
th { font-weight: 600; white-space: nowrap; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
pre { background: var(--tint); padding: .7em .9em; border-radius: 4px; overflow-x: auto;
      white-space: pre-wrap; overflow-wrap: anywhere; font-size: .92em; }
.named { white-space: nowrap; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .9em;
       border-radius: 2px; vertical-align: -.05em; }
.ramp { display: inline-block; width: 4em; height: .7em; margin: 0 .4em;
        background: linear-gradient(90deg, #440154, #3b528b, #21918c, #5ec962, #fde725); }
details summary { cursor: pointer; color: var(--link); }
@media print {
  :root { color-scheme: light; } body { max-width: none; margin: 0; padding: 0; font-size: 12px; }
  h2, h3 { break-after: avoid; } figure, svg, tr, .figures, pre { break-inside: avoid; }
  .key, .ramp, figure img { print-color-adjust: exact; } .scroll { overflow: visible; }
  details::details-content { content-visibility: visible; block-size: auto; } }
"""

_MOST_BYTES = 300_000  # of a PNG; what is larger is much like noise
_QUALITY = 82
_JPEG_FROM = 2**16  # pixels, from which an image of a camera is smaller as JPEG


def page(title: str, parts: Iterable[str], style: str = "") -> str:
    """Return a whole page of parts that are HTML already.

    Parameters
    ----------
    title
        Of the browser's window.
    parts
        Of the page, one below the other.
    style
        CSS beside that of all pages.
    """
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        # Nothing is loaded and nothing runs, whatever a name in it may hold.
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; "
        "img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{html.escape(title)}</title><style>{_STYLE}{style}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def text(words: object) -> str:
    """Return words as HTML."""
    return html.escape(str(words))


def section(title: str, *parts: str) -> str:
    """Return a heading with its content; nothing if the content is empty."""
    inner = "".join(parts)
    return f"<h2>{text(title)}</h2>{inner}" if inner else ""


def headline(figures: Sequence[tuple[str, str]]) -> str:
    """Return figures in large print, each with its caption."""
    shown = "".join(
        f"<div class='figure'><b>{text(value)}</b><span>{text(what)}</span></div>"
        for value, what in figures
    )
    return f"<div class='figures'>{shown}</div>"


def listed(lines: Iterable[str]) -> str:
    """Return lines as a list; nothing without any."""
    inner = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<ul>{inner}</ul>" if inner else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table, columns of numbers to the right; nothing without rows."""
    lines = [[str(entry) for entry in row] for row in rows]
    if not lines:
        return ""
    numeric = [all(_is_number(line[n]) for line in lines) for n in range(len(lines[0]))]

    def row(tag: str, entries: Sequence[str]) -> str:
        cells = (
            f"<{tag}{' class=n' if number else ''}>{text(entry)}</{tag}>"
            for entry, number in zip(entries, numeric, strict=True)
        )
        return f"<tr>{''.join(cells)}</tr>"

    head = row("th", heads) if any(heads) else ""
    body = "".join(row("td", line) for line in lines)
    return f"<div class='scroll'><table>{head}{body}</table></div>"


def folded(summary: str, *parts: str) -> str:
    """Return parts that unfold on a click; nothing if they are empty."""
    inner = "".join(parts)
    return f"<details><summary>{text(summary)}</summary>{inner}</details>" * bool(inner)


def command(line: str) -> str:
    """Return a command as it is typed."""
    return f"<pre>{text(line)}</pre>"


def charts(drawn: Iterable[str]) -> str:
    """Return charts beside each other; nothing without any."""
    inner = "".join(drawn)
    return f"<div class='charts'>{inner}</div>" if inner else ""


def pictures(shown: Sequence[tuple[str, str]], kind: str = "") -> str:
    """Return pictures beside each other: address and caption, which is HTML.

    Parameters
    ----------
    shown
        Address, as :func:`address` returns it, and caption of each.
    kind
        ``small`` for many of them, ``even`` for as many a line as elsewhere.
    """
    if not shown:
        return ""
    figures = "".join(
        f"<figure><img src='{uri}' alt='{_plain(caption)}' "
        f"{'class=map ' * (kind == 'small')}><figcaption>{caption}</figcaption></figure>"
        for uri, caption in shown
    )
    return f"<div class='row {kind}'>{figures}</div>"


def address(picture: NDArray[np.uint8], *, photo: bool = False) -> str:
    """Return a picture as an address within the page.

    Parameters
    ----------
    picture
        Grey ``(y, x)``, or colours ``(y, x, 3)``, or with opacity ``(y, x, 4)``.
    photo
        Whether it shows noise, which a large JPEG keeps well enough and PNG badly.
    """
    if photo and picture[..., :1].size >= _JPEG_FROM:
        return jpeg_address(picture, (_QUALITY,))
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, format="PNG", compress_level=6)
    has_opacity = picture.ndim == 3 and picture.shape[2] == 4
    if encoded.tell() > _MOST_BYTES and not has_opacity:
        return jpeg_address(picture, (_QUALITY,))
    return png_uri(encoded.getvalue())


def jpeg_address(
    picture: NDArray[np.uint8], qualities: Sequence[int], most: float = math.inf
) -> str:
    """Return a picture as an address within the page, of few bytes.

    Parameters
    ----------
    picture
        Grey ``(y, x)``, or colours ``(y, x, 3)``.
    qualities
        1 to 95, as Pillow has it: the first is taken by which the picture is small
        enough, or else the last.
    most
        Bytes that are small enough.
    """
    shown = Image.fromarray(picture)
    for quality in qualities:
        encoded = io.BytesIO()
        shown.save(encoded, format="JPEG", quality=quality)
        if encoded.tell() <= most:
            break
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode()


def _plain(caption: str) -> str:
    """Return a caption without its marks, for those who do not see the picture."""
    words = "".join(part.partition(">")[2] for part in f">{caption}".split("<"))
    return words.replace("'", "&#39;")


def _is_number(entry: str) -> bool:
    cleaned = entry.replace(",", "").removesuffix(" %")
    try:
        float(cleaned)
    except ValueError:
        return entry in {"", "–"}
    return True
