"""READMEs: the main one is short, links lead somewhere, commands and chapters are there."""

import re
import shlex
from xml.etree import ElementTree

import click
import pytest
from places import ROOT
from readmes import commands, readmes

import minigrad as mg
from minigrad.models.commands import main
from minigrad.models.exercises import EXERCISES
from minigrad.models.guide.chapter import chapters
from minigrad.models.networks.classifier import SequenceClassifier
from minigrad.models.reports.explain import memory
from minigrad.models.training.text import Vocabulary, tokenize

README = (ROOT / "README.md").read_text(encoding="utf-8")
PATHS = [*readmes(), ROOT / "CONTRIBUTING.md", ROOT / "minigrad" / "coming_from_pytorch.md"]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PATHS}
PAGES = pytest.mark.parametrize("name", TEXTS)


def test_the_main_one_is_short():
    assert len(README.splitlines()) <= 200


@PAGES
def test_every_line_is_short_enough_to_read(name):
    """But for tables, code and links."""
    prose = re.sub(r"^```.*?^```$", "", TEXTS[name], flags=re.M | re.S)
    lines = [line for line in prose.splitlines() if line[:1] != "|" and "](" not in line]
    assert [line for line in lines if len(line) > 130] == []


def anchors(text):
    """What GitHub makes of the headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@PAGES
def test_every_link_leads_somewhere(name):
    text = re.sub(r"^```.*?^```$", "", TEXTS[name], flags=re.M | re.S)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    for link in links:
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def test_links_of_a_page_are_found():
    assert anchors("# One\n\n## What is `x`, and why?\n") == {"one", "what-is-x-and-why"}


COMMANDS = sorted({(name, line) for name, text in TEXTS.items() for line in commands(text)})


@pytest.mark.parametrize(("name", "line"), COMMANDS, ids=[line for _, line in COMMANDS])
def test_every_command_and_option_is_there(name, line):
    """Of what follows `minigrad`: subcommands first, then options that each command has."""
    words = shlex.split(line[line.index("minigrad ") :].split(" | ")[0])[1:]
    command: click.Command = main
    while isinstance(command, click.Group) and words:
        within = command.get_command(click.Context(command), words[0])
        if within is None:
            break
        command, words = within, words[1:]
    in_a_sentence = not words or words[0] == "--help"  # `minigrad train`
    assert in_a_sentence or not isinstance(command, click.Group)
    options = [(*parameter.opts, *parameter.secondary_opts) for parameter in command.params]
    known = {name for names in options for name in names}
    given = {word for word in words if word.startswith("--")} - {"--help"}
    assert given <= known, given - known


def test_every_command_is_on_the_page_of_commands():
    lines = commands(TEXTS["models/commands/README.md"])
    named = {re.sub(r".*?minigrad ", "", line).split()[0] for line in lines} - {"--help"}
    assert named == set(main.commands)


def test_every_chapter_is_in_the_table_of_claims():
    table = README.partition("| the article says |")[2].partition("\n\n")[0]
    rows = [row.split("|") for row in table.splitlines()[2:]]
    named = {int(number) for row in rows for number in re.findall(r"\d+", row[2])}
    assert named == {chapter.number for chapter in chapters()}
    assert all(commands(row[3]) for row in rows)
    for exercise in re.findall(r"exercise show ([\w-]+)", table):
        assert exercise in EXERCISES


def test_the_picture_can_be_seen_in_dark_and_light():
    picture = ElementTree.parse(ROOT / "benchmarks" / "reading.svg").getroot()
    (style,) = picture.iter("{http://www.w3.org/2000/svg}style")
    assert "prefers-color-scheme: dark" in style.text
    assert "definitely +" in picture.get("aria-label")


def test_the_picture_is_of_the_explanation(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import reading

    vocabulary = Vocabulary(["<pad>", "<unk>", "a", "lovely", "film"])
    mg.manual_seed(0)
    model = SequenceClassifier("gru", num_embeddings=5, embedding_dim=4, hidden_size=3)
    model.eval()
    drawn = ElementTree.fromstring(reading.reading(model, vocabulary, "A lovely, lovely film!"))
    words = tokenize("A lovely, lovely film!")
    parts = memory(model, vocabulary.encode(words)).part
    said = drawn.get("aria-label")
    assert all(f"{word} {part:+.2f}" in said for word, part in zip(words, parts, strict=True))
    cells = [e for e in drawn if e.get("class") == "cell"]
    assert len(cells) == len(words) * (len(words) + 1) // 2 + len(words)
