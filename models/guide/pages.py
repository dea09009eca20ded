"""A site of the chapters that have run: a page each, opened from disk, nothing from elsewhere."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...utils.files import replace_file
from ...utils.install import install_line
from ..training.notebook import PROGRESS
from .chapter import Chapter, GuideError
from .claims import CLAIM

__all__ = ["TEMPLATES", "plotly_script", "templates", "write_site"]

OPEN = "open"  # the tag of cells whose code is part of the text: `# %% tags=["open"]`
_PLOTLY = "application/vnd.plotly.v1+json"
TEMPLATES = Path(__file__).parent / "templates"


def write_site(
    folder: Path,
    everything: Sequence[Chapter],
    notebooks: Mapping[int, Any],
    claims: Sequence[Any],
    absent: Mapping[int, str],
    *,
    quick: bool = False,
) -> None:
    """Write index.html, a page for each chapter with a notebook, teacher.html, what they share.

    `absent` says of chapters by number why they have none, `quick` whether sizes are small.
    """
    environment = templates()
    page = environment.get_template("page.html")
    index = environment.get_template("index.html")
    there = [chapter for chapter in everything if chapter.number in notebooks]
    files = {}
    for i, chapter in enumerate(there):
        cells = [_Cell(cell) for cell in notebooks[chapter.number].cells]
        files[f"{chapter.slug}.html"] = page.render(
            chapter=chapter,
            chapters=there,
            before=there[i - 1] if i else None,
            after=there[i + 1] if i + 1 < len(there) else None,
            cells=cells,
            plotly=any(cell.has(_PLOTLY) for cell in cells),
            quick=quick,
        )
    counts: dict[str, int] = {}
    for judged in claims:
        counts[judged["verdict"]] = counts.get(judged["verdict"], 0) + 1
    files["index.html"] = index.render(
        chapters=there, claims=claims, counts=counts, absent=absent.values(), quick=quick
    )
    files["teacher.html"] = environment.get_template("teacher.html").render(
        chapters=there, text=_plan(environment, everything, there, quick)
    )
    files |= {name: (TEMPLATES / name).read_text("utf-8") for name in ("style.css", "page.js")}
    files["plotly.min.js"] = plotly_script()
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        replace_file(folder / name, text.encode())


def templates() -> Any:
    """Where jinja2 finds the HTML of pages; GuideError if it is missing."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise GuideError(f"pages are made by jinja2: {install_line('guide')}") from error
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _plan(
    environment: Any, everything: Sequence[Chapter], there: Sequence[Chapter], quick: bool
) -> str:
    """The teacher's plan as HTML; a chapter that isn't there is named without a link."""

    def named(number: int) -> str:
        (chapter,) = (chapter for chapter in everything if chapter.number == number)
        text = f"chapter {number}, {chapter.title.partition(':')[0]}"
        return f"[{text}]({chapter.slug}.html)" if chapter in there else text

    plan = environment.get_template("teacher.txt").render(chapter=named, short=quick)
    return str(_markdown().render(plan))


def plotly_script() -> str:
    """The script that draws plotly's figures, from the package."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


class _Cell:
    """A cell of a notebook as HTML."""

    def __init__(self, cell: Any) -> None:
        self.kind: str = cell.cell_type
        self.is_open: bool = OPEN in cell.metadata.get("tags", [])
        self.source: str = cell.source
        self._outputs: list[Any] = list(cell.get("outputs", []))

    def has(self, kind: str) -> bool:
        """Whether an output is of this type."""
        return any(kind in _data(output) for output in self._outputs)

    @property
    def text(self) -> str:
        """A cell of text."""
        return str(_markdown().render(self.source))

    @property
    def code(self) -> str:
        """A cell of code, coloured."""
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer

        return str(highlight(self.source, PythonLexer(), HtmlFormatter(cssclass="code")))

    @property
    def outputs(self) -> list[str]:
        """What the cell has shown."""
        return [_output(output) for output in self._outputs if PROGRESS not in _data(output)]


def _data(output: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = output.get("data", {})
    return found


def _output(output: Any) -> str:
    if output.output_type == "stream":
        return _printed(output.text)
    data = _data(output)
    if _PLOTLY in data:
        figure = json.dumps(data[_PLOTLY]).replace("</", "<\\/")
        text = html.escape(str(data.get("text/plain", "")))
        return (
            f"<figure class='plot'><div class='plot-area' role='img' aria-label='{text}'></div>"
            f"<script type='application/json'>{figure}</script>"
            f"<figcaption>{text}</figcaption></figure>"
        )
    for kind in ("text/html", "image/svg+xml"):
        if kind in data:
            return f"<div class='shown{' judged' if CLAIM in data else ''}'>{data[kind]}</div>"
    return _printed(data.get("text/plain", ""))


def _printed(text: str) -> str:
    """Columns and code keep their lines, and scroll; other texts are wrapped."""
    aligned = re.search(r"\S {3,}\S|^ {4}", text, re.MULTILINE)
    kind = "printed aligned" if aligned else "printed"
    return f"<pre class='{kind}'>{html.escape(text)}</pre>"


def _markdown() -> Any:
    """A reader of Markdown with formulas between dollar signs, which become MathML."""
    from latex2mathml.converter import convert
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def formula(text: str, options: Mapping[str, Any]) -> str:
        if options.get("display_mode"):
            return f"<span class='formula'>{convert(text, display='block')}</span>"
        return str(convert(text, display="inline"))

    reader = MarkdownIt("commonmark", {"html": True}).enable("table")
    return reader.use(dollarmath_plugin, renderer=formula, double_inline=True)
