"""Random programs over all ops, drawn so that hypothesis can shrink them.

An `Author` writes a program line by line: it draws an op of the op table, then operands and
settings that fit the values computed so far, and runs the line at once to know the next shapes.
What each op may be given is in `program_steps.py`, `program_moves.py`, `program_order.py` and
`program_matrices.py`, what must hold in `program_checks.py`. A failure is printed as a script.
"""

import os

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from program_author import Author
from program_matrices import STEPS

FLAVOURS = ["smooth"] * 9 + ["mixed"] * 4 + ["special"] * 3 + ["large"] * 3 + ["half"]
FAST = ["matmul", "linear", "matmul", "scatter_add", "dot", "part"]  # with ways of their own
TOGETHER = 4  # programs that hypothesis draws from one seed
PRINTED = 60  # numbers: a larger input is printed as the call that draws it


@st.composite
def programs(draw, steps=STEPS, flavours=FLAVOURS, most=11):
    """A program of 1 to about 12 ops."""
    author = Author(draw, draw(st.sampled_from(flavours)))
    fast = [name for name in FAST if name in steps]
    table = [*steps, *fast * (20 if author.large else 1)], steps
    author.any()
    for _ in range(author.below(4 if author.large else most) + 1):
        author.step(table)
    return author.program()


def each_program(check, count, start=0, shrink=True, **options):
    """Calls `check` with `count` random programs; hypothesis shrinks one that fails.

    Hypothesis varies what it found more than it looks for new things, so it starts anew after
    each few programs, from another seed.
    """
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    for k in range(start, start + count // TOGETHER):
        test = given(programs(**options))(lambda program: check(program))
        test = settings(
            max_examples=TOGETHER,
            phases=phases,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )(test)
        seed(k)(test)()


# --- a script that shows a failure -----------------------------------------------------------

# Backends of the tests: their module and class.
OWN = {"strict": ("strict_backend", "StrictBackend")}
OWN |= {"interpreted": ("interpreted_backend", "InterpretedBackend")}

SCRIPT = """\
import sys

sys.path.insert(0, {folder!r})

from fast_ways import forced_fast_ways
from program_checks import check
from program_data import Input, Program, drawn
{own}
import minigrad as mg
import numpy as np
from numpy import inf, nan

TEXT = \"\"\"
{text}\"\"\"
INPUTS = {{
{inputs}}}
PROGRAM = Program(TEXT, INPUTS, {settings})
{register}
with forced_fast_ways():
    check(PROGRAM, {backends!r})
print("no difference")
"""


def script(program, backends):
    """A text of Python that runs the checks on this very program, and draws nothing."""
    own = [(*OWN[name], name) for name in backends if name in OWN]
    return SCRIPT.format(
        folder=os.path.dirname(__file__),
        own="".join(f"from {module} import {kind}\n" for module, kind, _ in own),
        text=program.text,
        inputs="".join(
            f"    {name!r}: {_literal(given, program.recipes[name])},\n"
            for name, given in program.inputs.items()
        ),
        settings=f"{program.seed}, {program.precision!r}, {program.special}, {program.compiled}",
        register="".join(f"mg.register_backend({name!r}, {kind})\n" for _, kind, name in own),
        backends=list(backends),
    )


def _literal(given, recipe):
    values = given.values
    if values.size <= PRINTED:
        recipe = f"np.array({values.tolist()!r}, {values.dtype.name!r}).reshape({values.shape})"
    rest = (given.order, given.steps, given.margin, given.repeats, given.role)
    return f"Input({recipe}, {', '.join(map(repr, rest))})"
