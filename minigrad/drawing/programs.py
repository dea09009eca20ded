"""What a kernel's box shows when it opens: the program of a step, value by value."""

from __future__ import annotations

from typing import Any

from .boxes import make_box, short
from .parts import Arrow, Box, Row
from .render import Drawing


def program_drawing(program: Any) -> Drawing:
    """The forward program of a traced cell or function: sizes have names, values no numbers."""
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    places: dict[Any, int] = {}
    for value in program.forward:
        shape = f"({', '.join(map(program.size_text, value.shape))})"
        inputs = value.inputs
        arrows += [Arrow(places[x], len(boxes), "") for x in inputs]
        places[value] = len(boxes)
        details = [short(arg) for arg in value.args if arg not in inputs]
        details += [
            f"{name}={program.size_text(setting) if hasattr(setting, 'form') else short(setting)}"
            for name, setting in value.settings.items()
            if name not in ("shape", "number")
        ]
        rows = [Row("", f"to the output {part}", "faint") for part in _places(value, program.ys)]
        rows += [
            Row("", f"to the next state {part}", "faint")
            for part in _places(value, program.new_state)
        ]
        kind = "op"
        if value.op == "input":
            kind = "leaf" if value in program.params else "outside"
        elif rows:
            kind = "result"
        title = value.name if value.op == "input" else value.op
        if value.label and value.op != "input":
            title = f"{value.label} = {title}"
        boxes.append(make_box(kind, title, ", ".join(details), f"{shape} {value.dtype}", rows))
    return Drawing(boxes, arrows, ["The program that the kernel runs, of one step or row."])


def _places(value: Any, values: list[Any]) -> list[str]:
    """Where a value is among some; nothing need be said of the only one."""
    only = len(values) == 1
    return ["" if only else str(i) for i, other in enumerate(values) if other is value]
