"""Programs that PyTorch's users write, and what becomes of them for minigrad.

A file is a program for PyTorch. Where a line of it has to change, a line `# minigrad: ...` below it
says what it becomes; with nothing behind the colon, the line goes. Where one change after the other
is needed, there are several such lines. `# minigrad, too: ...` is a change that the error of the
line before speaks of. Imports change, too. What follows `TRAINING` begins when the model's weights
have been set.
"""

import random
import re
import traceback
from pathlib import Path

TRAINING = "# --- training ---"
IMPORTS = {
    "import torch": "import minigrad as torch",
    "import torch.nn as nn": "import minigrad.nn as nn",
    "import torch.nn.functional as F": "import minigrad as F",
    "import torch.optim as optim": "import minigrad.optim as optim",
    "from torch import nn": "from minigrad import nn",
    "from torch import nn, optim": "from minigrad import nn, optim",
    "from torch import optim": "from minigrad import optim",
}
_MARK = re.compile(r" *# minigrad(, too)?: ?(.*)")


class Program:
    """A program, with its lines numbered from 1 as in its file.

    Attributes
    ----------
    changes : what a line becomes, one step after the other, by its number.
    follows : the line whose error speaks of a change, by the number of the line that changes.
    """

    def __init__(self, path):
        self.path, self.name = Path(path), Path(path).stem
        self.lines = self.path.read_text(encoding="utf-8").splitlines()
        self.changes, self.follows = {}, {}
        old = before = None
        for number, line in enumerate(self.lines, 1):
            if mark := _MARK.fullmatch(line):
                if mark[1]:
                    self.follows[old] = before
                indent = re.match(" *", self.lines[old - 1])[0]
                self.changes.setdefault(old, []).append(indent + (mark[2] or "pass"))
            else:
                before = old if old in self.changes else before
                old = number

    def imports(self):
        return [n for n, line in enumerate(self.lines, 1) if re.match(r"(import|from) torch", line)]

    def text(self, steps):
        """The lines with minigrad's imports, and so many changes of each line as `steps` says."""
        lines = dict(enumerate(self.lines, 1))
        lines |= {n: IMPORTS[lines[n]] for n in self.imports()}
        return list((lines | {n: self.changes[n][k - 1] for n, k in steps.items() if k}).values())

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
        return self.run(self.lines, start)

    def ported(self, start=None):
        return self.run(self.text({n: len(lines) for n, lines in self.changes.items()}), start)

    def place(self, error):
        """The line of the program at which an error happened."""
        frames = traceback.extract_tb(error.__traceback__)
        return [frame.lineno for frame in frames if frame.filename == str(self.path)][-1]

    def new_words(self, number, step):
        """The words, and the assignments such as `-=`, that a change of a line brings in."""
        old = self.changes[number][step - 1] if step else self.lines[number - 1]
        old, new = (_words(line) for line in (old, self.changes[number][step]))
        return new - old - {"pass"}


def _words(line):
    line = re.sub(r"\btorch\.(?=\w)", "mg.", line)
    return set(re.findall(r"[A-Za-z_]\w*|[-+*/@]=", line))


def weights_of(model):
    """A function that gives another model the weights of this one, of PyTorch."""
    state = {name: value.detach().clone().numpy() for name, value in model.state_dict().items()}
    return lambda other: other.load_state_dict(state)


FOLDER = Path(__file__).parents[1] / "coming" / "programs"
PROGRAMS = [Program(path) for path in sorted(FOLDER.glob("*.py"))]
