"""Links that lead nowhere: files and anchors of a folder of HTML pages."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["dead_links"]


class _Page(HTMLParser):
    """The anchors and the links of a page, and anchors that it has twice."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.twice: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag names and where it leads."""
        given = {name: value for name, value in attrs if value is not None}
        if "id" in given:
            (self.twice if given["id"] in self.anchors else self.anchors).add(given["id"])
        self.links += [given[name] for name in ("href", "src") if name in given]


def dead_links(folder: Path) -> list[str]:
    """Each link within the folder's pages whose file or anchor is missing, and doubled anchors.

    Links to other hosts are left alone, as is what a page has in itself (`data:`).
    """
    pages = {
        path.resolve(): _Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")
    }
    dead = []
    for path, page in pages.items():
        where = path.relative_to(folder.resolve())
        dead += [f"{where}: the anchor {anchor} is there twice" for anchor in sorted(page.twice)]
        for link in dict.fromkeys(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                dead.append(f"{where}: there is no file {link}")
            elif parts.fragment and unquote(parts.fragment) not in pages[target].anchors:
                dead.append(f"{where}: there is no anchor {link}")
    return dead
