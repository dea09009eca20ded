"""Programs that PyTorch's users write, and what becomes of them for minigrad.

A file is a program for PyTorch. Where a line of it has to change, a line `# minigrad: ...` below it
says what it becomes; with nothing behind the colon, the line goes. Imports change, too. What
follows `TRAINING` begins when the model's weights have been set.
"""

import random
import re
import traceback
from pathlib import Path

MARK = "# minigrad:"
TRAINING = "# --- training ---"
IMPORTS = {
    "import torch": "import minigrad as torch",
    "import torch.nn as nn": "import minigrad.nn as nn",
    "import torch.nn.functional as F": "import minigrad as F",
    "import torch.optim as optim": "import minigrad.optim as optim",
    "from torch import nn": "from minigrad import nn",
    "from torch import optim": "from minigrad import optim",
}


class Program:
    """A program, with its lines numbered from 1 as in its file."""

    def __init__(self, path):
        self.path, self.name = Path(path), Path(path).stem
        self.lines = self.path.read_text(encoding="utf-8").splitlines()
        self.changes = {}
        for number, line in enumerate(self.lines, 1):
            if line.strip().startswith(MARK):
                old = self.lines[number - 2]
                indent = old[: len(old) - len(old.lstrip())]
                self.changes[number - 1] = indent + (line.partition(MARK)[2].strip() or "pass")

    def imports(self):
        return [n for n, line in enumerate(self.lines, 1) if re.match(r"(import|from) torch", line)]

    def text(self, changed, imports=True):
        """The program with these lines changed, and with minigrad's imports."""
        lines = dict(enumerate(self.lines, 1)) | {n: self.changes[n] for n in changed}
        if imports:
            lines |= {n: IMPORTS[self.lines[n - 1]] for n in self.imports()}
        return list(lines.values())

    def run(self, lines, start=None):
        """What its names mean after a run; `start(model)` is called before the training."""
        end = lines.index(TRAINING)
        scope = {"__name__": self.name}
        state = random.getstate()
        try:
            exec(compile("\n".join(lines[:end]), str(self.path), "exec"), scope)
            if start is not None:
                start(scope["model"])
            rest = [""] * end + lines[end:]  # numbers of lines stay
            exec(compile("\n".join(rest), str(self.path), "exec"), scope)
        finally:
            random.setstate(state)
        return scope

    def in_torch(self, start=None):
        return self.run(self.text([], imports=False), start)

    def ported(self, start=None):
        return self.run(self.text(self.changes), start)

    def place(self, error):
        """The line of the program at which an error happened."""
        frames = traceback.extract_tb(error.__traceback__)
        return [frame.lineno for frame in frames if frame.filename == str(self.path)][-1]

    def words(self, number):
        """The words that a changed line has, and had not before."""
        old, new = (
            set(re.findall(r"[A-Za-z_]\w*", line))
            for line in (self.lines[number - 1], self.changes[number])
        )
        return new - old - {"pass"}

    def told_together(self, number):
        """The changes that one error speaks of: those of statements that follow one another."""
        group = [number]
        while group[-1] + 2 in self.changes:
            group.append(group[-1] + 2)
        return group


PROGRAMS = [
    Program(path)
    for path in sorted((Path(__file__).parents[1] / "coming" / "programs").glob("*.py"))
]


def weights_of(model):
    """A function that gives another model the weights of this one, of PyTorch."""
    state = {name: value.detach().clone().numpy() for name, value in model.state_dict().items()}
    return lambda other: other.load_state_dict(state)
