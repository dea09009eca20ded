"""From a scheduled loop to CUDA: which products and kernels a step runs, and the kernels' text.

A kernel knows nothing of time: it gets the rows of one step, and cupy_loop.py says which of its
arrays those are. So its text is the same for sequences read either way, kept or not. A fused
function is a loop of one step.
"""

from __future__ import annotations

from dataclasses import dataclass

from minigrad.compiler.ir import Value
from minigrad.compiler.schedule import Loop
from minigrad.errors import Untraceable

from ..shared.regions import Regions
from .dialect import used_helpers
from .region import Place, RegionWriter

MOST_THREADS = 256  # of a block; a power of two, for the reductions

_HEADER = f"""\
// What is done row by row, in a step of a scan between its matrix products, or in a fused function.
// Written by minigrad; to change it, change the cell or the function.
//
// N: sequences in the batch, W: columns of the widest row that a kernel goes over.
// old0, new0: the state before and after the step; x0: its inputs; w0: what all steps share;
// kept0: what is kept for the backward pass.

#define MOST_THREADS {MOST_THREADS}
#ifdef LARGE  // arrays of 2**31 numbers and more
typedef long long Index;
#else
typedef int Index;
#endif
"""


@dataclass
class Product:
    """A matrix product of a step: rows by an array that is the same for all steps."""

    rows: Place
    invariant: int
    out: Place


class Writer:
    """Writes what a step of a loop does.

    Attributes
    ----------
    stages : products and kernels, in order.
    text : the kernels, in CUDA C++.
    own : values that need memory of the loop's own: (N, ...) each, the same for all steps.
    """

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.stages: list[Product | RegionWriter] = []
        self.own: list[Value] = []
        self._regions = Regions(loop)
        self._places: dict[Value, list[Place]] = {}
        groups: list[tuple[str, list[Value]]] = [
            ("invariant", loop.invariant),
            ("steps", loop.steps),
            ("before", loop.carry_in),
            ("kept", loop.kept),
            ("after", loop.carry_out),
        ]
        for kind, values in groups:
            for i, value in enumerate(values):
                if kind != "after" or value in self._regions.inside:
                    self._places.setdefault(value, []).append(Place(kind, i, value))
        texts = self._write_stages()
        whole = "\n".join(texts)
        self.text = "\n".join([_HEADER, *used_helpers(whole), whole])

    def _write_stages(self) -> list[str]:
        """The text of each kernel."""
        copies = self._copies()
        stages = self._regions.stages
        if copies and not (stages and isinstance(stages[-1], list)):
            stages = [*stages, []]  # the copies need a kernel of their own
        texts: list[str] = []
        for i, stage in enumerate(stages):
            if isinstance(stage, Value):
                a, w = stage.args
                product = Product(self._place(a), self.loop.invariant.index(w), self._out(stage))
                self.stages.append(product)
                continue
            region = RegionWriter(
                f"region{len(texts)}",
                self.loop.program,
                [v for v in stage if v in self._regions.named],
                set(stage),
                copies if i == len(stages) - 1 else [],
                self._place,
                self._places_for,
            )
            self.stages.append(region)
            texts.append(region.text)
        return texts

    def _copies(self) -> list[tuple[Value, list[Place]]]:
        """What no kernel computes and more than one array wants, or the state of the next step."""
        wanted = []
        for i, value in enumerate(self.loop.carry_out):
            if value not in self._regions.inside:
                wanted.append((value, [Place("after", i, value)]))
        for value in self.loop.body:
            if value.op == "matmul" and len(self._places.get(value, [])) > 1:
                wanted.append((value, self._places[value][1:]))
        return wanted

    def _place(self, value: Value) -> Place:
        """Where to read a value."""
        if value not in self._places:
            raise Untraceable(f"{value.op} as an operand of a matrix product")
        return self._places[value][0]

    def _out(self, product: Value) -> Place:
        """Where a product goes."""
        return self._places_for(product, True)[0]

    def _places_for(self, value: Value, memory: bool) -> list[Place]:
        """Where a value of the body goes; it gets an array if it needs one and has none."""
        region = self._regions.region
        users = self._regions.users[value]
        if value not in self._places:
            if not memory and all(region.get(user) == region[value] for user in users):
                return []
            self._places[value] = [Place("own", len(self.own), value)]
            self.own.append(value)
        return self._places[value]
