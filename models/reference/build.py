"""Pages from the docstrings, by pdoc. A warning is an error."""

from __future__ import annotations

import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import pdoc.doc
import pdoc.docstrings
import pdoc.render
import pdoc.render_helpers
import pygments
import pygments.formatters
import pygments.lexers
from jinja2 import pass_context
from markupsafe import Markup, escape

import minigrad as mg

from ...utils.files import replace_file
from .docstrings import to_markdown
from .members import modules, sections
from .pages import PAGES

__all__ = ["build"]

HERE = Path(__file__).parent
TITLE = "minigrad's reference"
OURS = re.compile(r"<code>(?P<shown>(?:mg|minigrad)\.(?P<name>[\w.]+)(?:\([^<]*\))?)</code>")
UNNAMED = '<a class="headerlink"'
NAMED = f'{UNNAMED} aria-label="a link to this place"'
NAME = re.compile(r'(?<=<span class="n">)([A-Z]\w+)(?=</span>)')


def build(folder: Path) -> int:
    """Write the pages to a folder, in place of what is there; return how many there are."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = [name for group in PAGES.values() for name in group]
        made = modules(names)
        env = configured(made)
        make_room(folder)
        for name, module in made.items():
            path = folder / f"{name.replace('.', '/')}.html"
            path.parent.mkdir(parents=True, exist_ok=True)
            page = pdoc.render.html_module(module, made).replace(UNNAMED, NAMED)
            replace_file(path, page.encode())
        start = env.get_template("index.html.jinja2").render(
            all_modules=made,
            pages=PAGES,
            version=mg.__version__,
            start=(HERE / "templates" / "start.txt").read_text(encoding="utf-8"),
            root_module_name=None,
            title=TITLE,
        )
        replace_file(folder / "index.html", start.encode())
        replace_file(folder / "search.js", pdoc.render.search_index(made).encode())
    return len(made) + 1


def make_room(folder: Path) -> None:
    """Remove pages that were written there before; leave a folder of other things alone."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    start = folder / "index.html"
    if not start.is_file() or TITLE not in start.read_text(encoding="utf-8"):
        raise SystemExit(f"{folder} has files that are not of the reference: name another folder")
    shutil.rmtree(folder)


def configured(made: dict[str, pdoc.doc.Module]) -> Any:
    """pdoc's templates with ours before them, and with what ours ask for."""
    pdoc.render.configure(template_directory=HERE / "templates")
    vars(pdoc.docstrings)["convert"] = lambda text, form, path: to_markdown(text)
    env = pdoc.render.env
    homes = {
        f"{name.removeprefix('minigrad.')}." * (name != "minigrad") + member.qualname: (
            name,
            member,
        )
        for name, module in made.items()
        for member in members_of(module)
    }
    for name in ("minigrad.ops", "minigrad.functional"):
        for member in made[name].members.values():
            homes[member.name] = name, member

    classes = {
        member.name: name
        for name, module in reversed(made.items())
        for member in module.members.values()
        if isinstance(member, pdoc.doc.Class)
    }

    @pass_context
    def linkify(context: Any, code: str, namespace: str = "", shorten: bool = True) -> Markup:
        """As pdoc, and what is called `mg.name`, wherever its page is."""
        here = context["module"].modulename

        def link(found: re.Match[str]) -> str:
            name = found["name"]
            if f"minigrad.{name}" in made:
                page, anchor = f"minigrad.{name}", ""
            elif name in homes:
                page, member = homes[name]
                anchor = f"#{member.qualname}"
            else:
                return found[0]
            to = pdoc.render_helpers.relative_link(here, page)
            return f'<code><a href="{to}{anchor}">{found["shown"]}</a></code>'

        def link_class(found: re.Match[str]) -> str:
            if found[1] not in classes:
                return found[0]
            to = pdoc.render_helpers.relative_link(here, classes[found[1]])
            return f'<a href="{to}#{found[1]}">{found[1]}</a>'

        linked = pdoc.render_helpers.linkify(context, code, namespace, shorten)
        if shorten:  # a signature
            return Markup(NAME.sub(link_class, linked))
        return Markup(OURS.sub(link, linked))

    env.filters.update(
        highlight=highlight, linkify=linkify, summary=summary, inline=inline, slug=slug
    )
    dark = pygments.formatters.HtmlFormatter(style="github-dark").get_style_defs(".pdoc-code")
    env.globals.update(sections=sections, dark_code=dark)
    return env


def members_of(module: pdoc.doc.Module) -> list[pdoc.doc.Doc]:
    """All that has an anchor on its page."""
    found = list(module.members.values())
    for member in module.members.values():
        if isinstance(member, pdoc.doc.Class):
            found += [m for m in member.own_members if m.name[0] != "_"]
    return found


def highlight(member: pdoc.doc.Doc) -> Markup:
    """The source of a member, without an anchor for each line."""
    style = pygments.formatters.HtmlFormatter(cssclass="pdoc-code codehilite")
    return Markup(pygments.highlight(member.source, pygments.lexers.PythonLexer(), style))


def summary(docstring: str) -> str:
    """The first line of a docstring, without its full stop."""
    return docstring.partition("\n")[0].rstrip(".")


def inline(text: str) -> Markup:
    """A line with `code` in it as HTML."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def slug(text: str) -> str:
    """An anchor for a heading; no Python name looks like it."""
    return "at-" + re.sub(r"\W+", "-", text).strip("-").lower()
