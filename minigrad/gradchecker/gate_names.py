"""What an entry of a recurrent layer's parameters or input is, in words.

Goes by names: `weight_ih_l0`, `bias_hh_l1_reverse` and the like, with gates side by side in
blocks of H rows: i, f, g, o in an LSTM, r, z, n in a GRU.
"""

from __future__ import annotations

import re

from .report import Index, Name

_PARAMETER = re.compile(
    r"(?:weight|bias)_(?:ih|hh)(?P<end>(?:_l(?P<layer>\d+)(?P<reverse>_reverse)?)?)$"
)
_GATES = {4: "ifgo", 3: "rzn"}

Shapes = dict[str, tuple[int, ...]]


def whereabouts(name: Name, index: Index, shapes: Shapes, batch_first: bool) -> str:
    """Layer, direction and gate of a parameter, or the time step of an input (T, N, I); or "".

    `shapes` are those of all inputs and parameters by their names, as text.
    """
    if isinstance(name, str) and (found := _PARAMETER.search(name)):
        parts = []
        if found["layer"]:
            direction = "backward" if found["reverse"] else "forward"
            parts = [f"layer {found['layer']}", f"{direction} direction"]
        recurrent = name[: found.start()] + "weight_hh" + found["end"]
        if len(weight := shapes.get(recurrent, ())) == 2:  # some cells have a vector there
            rows, h = weight
            if gates := _GATES.get(rows // h):
                parts.append(f"gate {gates[index[0] // h]}")
        return ", ".join(parts)
    if name == 0 and len(index) == 3 and any(map(_PARAMETER.search, shapes)):
        return f"time step {index[1 if batch_first else 0]}"
    return ""
