"""What the server serves: the page, its scripts and style, and the answers to what it asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..pages import TEMPLATES, templates
from .gates_by_hand import CELLS, run_by_hand
from .reader import LONGEST_TEXT, Reader
from .requests import choice
from .server import Server

__all__ = ["EXAMPLES", "serving"]

EXAMPLES = [
    "I love this camera, the pictures are great and it is so easy to use!",
    "The battery died after two weeks and the support was no help at all.",
    # After the example of M. Phi, "Illustrated Guide to LSTM's and GRU's", 2018.
    "Amazing! This box of cereal gave me a perfectly balanced breakfast, as all things should be.",
]
_FILES = ("style.css", "live/live.css", "live/ask.js", "live/review.js", "live/by_hand.js")


def serving(port: int, readers: Sequence[Reader]) -> Server:
    """The server of the page with these models, on 127.0.0.1; raises OSError for a port in use."""
    by_title: dict[str, Reader] = {}
    for reader in readers:
        same = sum(title.startswith(reader.title) for title in by_title)
        by_title[f"{reader.title} ({same + 1})" if same else reader.title] = reader

    def models(asked: Mapping[str, Any]) -> dict[str, Any]:
        there = [
            {"title": title, "gates": reader.gates, "values": reader.values}
            for title, reader in by_title.items()
        ]
        return {"models": there, "examples": EXAMPLES, "cells": CELLS, "longest": LONGEST_TEXT}

    def review(asked: Mapping[str, Any]) -> dict[str, Any]:
        return by_title[choice(asked, "model", [*by_title])].answer(asked)

    files = {f"/{Path(name).name}": (TEMPLATES / name).read_text("utf-8") for name in _FILES}
    files["/"] = templates().get_template("live/live.html").render(longest=LONGEST_TEXT)
    answers = {"/models": models, "/review": review, "/by-hand": run_by_hand}
    return Server(port, files, answers)
