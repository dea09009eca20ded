"""The reference: its pages are built without a warning, and have what users look for."""

import re
from html import unescape

import pytest
from browser import Browser
from page_checks import check_page

import minigrad as mg
from minigrad.engine.op import OPS
from minigrad.utils.install import install_line

pytest.importorskip("pdoc", reason=f"no pdoc; {install_line('docs')}")
from minigrad.models.reference import build, docstrings, links


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("reference") / "pages"
    build.build(made)
    return made


def text_of(folder, page):
    return unescape(re.sub("<[^>]+>", "", (folder / page).read_text(encoding="utf-8")))


def test_every_link_and_anchor_is_there(folder):
    assert links.dead_links(folder) == []


def test_every_public_name_has_its_place_with_its_example(folder):
    pages = "minigrad.html", "minigrad/ops.html", "minigrad/functional.html"
    texts = [(folder / page).read_text(encoding="utf-8") for page in pages]
    names = [n for n in mg.__all__ if not isinstance(getattr(mg, n), type(mg))]
    assert len(names) > 200
    for name in names:
        (section,) = (text.partition(f'<section id="{name}">')[2] for text in texts
                      if f'<section id="{name}">' in text)  # fmt: skip
        if callable(getattr(mg, name)):
            assert "&gt;&gt;&gt; " in section.partition("</section>")[0], name


def test_an_op_is_a_function_with_its_derivative(folder):
    page = text_of(folder, "minigrad/ops.html")
    assert re.search(r"def\s+sum\(x, axis=None, keepdims=False, where=None\)", page)
    assert "tanh.vjp(x=lambda g, y: g * (1 - y * y))" in page
    assert "xp" not in re.search(r"def\s+tanh\((.*?)\)", page)[1]


def test_classes_say_how_they_are_called_and_have_what_users_call(folder):
    nn = (folder / "minigrad" / "nn.html").read_text(encoding="utf-8")
    said = re.sub(r"\s+", " ", text_of(folder, "minigrad/nn.html"))
    assert re.search(r"CrossEntropyLoss\( weight: Tensor \| None = None, ignore_index", said)
    assert 'id="Module.state_dict"' in nn and 'id="Recurrent.trace"' in nn
    tensor = (folder / "minigrad.html").read_text(encoding="utf-8")
    assert 'id="Tensor.tanh"' in tensor and 'id="Tensor.unsqueeze"' not in tensor
    assert 'href="ops.html#tanh"' in nn and 'href="../minigrad.html#Tensor"' in nn


def test_the_start_page_lists_all(folder):
    start = (folder / "index.html").read_text(encoding="utf-8")
    for link in (
        "minigrad/ops.html#tanh",
        "minigrad/nn.html#LSTM",
        "minigrad/backend.html#PROTOCOL",
    ):
        assert f'href="{link}"' in start


def test_pages_in_a_browser(folder, tmp_path):
    browser = Browser(tmp_path)  # skips where there is none
    try:
        for name, width, dark in (("index", 380, True), ("minigrad/linalg", 1100, False)):
            address = (folder / f"{name}.html").as_uri()
            with browser.page(address, width=width, dark=dark) as page:
                check_page(page, width)
        with browser.page((folder / "index.html").as_uri()) as page:
            page.click("input[type=search]")
            page.write("gradgradcheck")
            found = "main.pdoc a[href='minigrad.html#gradgradcheck']"
            page.until(f"document.querySelector({found!r})")
            assert all(address.startswith("file://") for address in page.fetched())
    finally:
        browser.close()


def test_docstrings_become_markdown():
    given = """A * b and c * d of *words*, <op tanh>, `a < b`.

Parameters
----------
x, y : two of them, 2 * 3
    and more.

Raises
------
TypeError : neither.

By keyword:

axis : one of
    them.

Examples
--------
>>> f(1)  # doctest: +ELLIPSIS
[1, ...]

    a block"""
    wanted = r"""A \* b and c \* d of *words*, &lt;op tanh>, `a < b`.

**Parameters**

- `x, y`: two of them, 2 \* 3
    and more.

**Raises**

- `TypeError`: neither.

By keyword:

- `axis`: one of
    them.


```pycon
>>> f(1)
[1, ...]
```


    a block"""
    assert docstrings.to_markdown(given) == wanted


def test_dead_links_are_found(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.html").write_text(
        '<p id="x"></p><a href="sub/b.html#y"></a><a href="#x"></a><a href="sub/c.html"></a>'
        '<a href="#nowhere"></a><a href="https://pdoc.dev/#z"></a><p id="x"></p>'
    )
    (tmp_path / "sub" / "b.html").write_text('<p id="y"></p><a href="../a.html#z"></a>')
    assert sorted(links.dead_links(tmp_path)) == [
        "a.html: the anchor x is there twice",
        "a.html: there is no anchor #nowhere",
        "a.html: there is no file sub/c.html",
        "sub/b.html: there is no anchor ../a.html#z",
    ]


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("Dear")
    with pytest.raises(SystemExit, match="name another folder"):
        build.build(tmp_path)
    assert (tmp_path / "letter.txt").exists()


def test_every_op_has_an_example():
    """Of the engine's own as well: `test_docstrings` runs them."""
    ours = {name: op for name, op in OPS.items() if op.__module__.startswith("minigrad.")}
    assert len(ours) > 100
    assert [name for name, op in ours.items() if ">>> " not in (op.__doc__ or "")] == []
