"""Which nodes of a graph belong together: calls of modules, scans, their steps, named values.

Calls and steps are found by the spans that they note (see `engine/spans.py`): a node belongs to
those that it was born in. A named value (`mg.probe`) has the ops that serve it alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..engine.graph import Node, Output
from ..engine.spans import Span
from ..engine.tensor import Leaf

__all__ = ["Group", "Groups"]


class Group:
    """Nodes that one box can stand for.

    Attributes
    ----------
    kind : "module", "scan", "step" (of a scan, or a call of a cell), "gate" (a named value),
        or "more" (the steps in the middle of many).
    title : what a picture calls it.
    parent : the group around it, if there is one.
    owner : the module, if it is a call of one that still exists.
    series : steps of one loop have the same.
    """

    def __init__(
        self, kind: str, title: str, start: int = 0, end: int = 0, owner: Any = None
    ) -> None:
        self.kind, self.title, self.start, self.end, self.owner = kind, title, start, end, owner
        self.parent: Group | None = None
        self.series: Any = None
        self.has_modules = False

    def line(self) -> list[Group]:
        """The groups around it, from the outermost, and itself."""
        line, group = [], self
        while group is not None:
            line.append(group)
            group = group.parent  # type: ignore[assignment]
        return line[::-1]


class Groups:
    """The groups of a graph's nodes.

    Attributes
    ----------
    of : by node the innermost group that it is in, or None.
    roots : the modules that were called, without those called within others.
    users : by node the nodes that take its value.
    """

    def __init__(self, nodes: Sequence[Node], root: Node) -> None:
        self.users: dict[Node, list[Node]] = {node: [] for node in nodes}
        for node in nodes:
            for edge in node.edges:
                if edge is not None:
                    self.users[edge].append(node)
        spans = _nested(sorted(_spans(nodes), key=lambda g: (g.start, -g.end)))
        calls = [g for g in spans if g.owner is not None]
        tops = [g.owner for g in calls if all(above.owner is None for above in g.line()[:-1])]
        self.roots = list({id(module): module for module in tops}.values())
        _name_calls(calls, self.roots)
        self.of: dict[Node, Group | None] = dict(_placed(nodes, spans))
        self._join(nodes)
        self._gather_parameters(nodes, calls)
        self._find_gates(nodes, root)

    def line(self, node: Node) -> list[Group]:
        """The groups that a node is in, from the outermost."""
        group = self.of[node]
        return [] if group is None else group.line()

    def _join(self, nodes: Sequence[Node]) -> None:
        """Parts that one step alone takes, such as its input, belong to the step."""
        for node in nodes:
            if isinstance(node, Output):
                steps = {_step_of(self.line(user)) for user in self.users[node]}
                step = steps.pop() if len(steps) == 1 else None
                if step is not None and self.of[node] in (None, *step.line()[:-1]):
                    self.of[node] = step

    def _gather_parameters(self, nodes: Sequence[Node], calls: Sequence[Group]) -> None:
        """A parameter that one call of its module alone takes belongs to it."""
        owned: dict[int, set[int]] = {}
        for group in calls:
            if id(group.owner) not in owned:
                owned[id(group.owner)] = set(map(id, group.owner.parameters()))
        for node in nodes:
            if isinstance(node, Leaf) and self.users[node]:
                lines = [self.line(user) for user in self.users[node]]
                tensor, around = id(node.tensor()), None
                for same in zip(*lines, strict=False):
                    group = same[0]
                    if any(other is not group for other in same):
                        break
                    if group.kind == "module" and tensor in owned.get(id(group.owner), ()):
                        around = group
                self.of[node] = around

    def _find_gates(self, nodes: Sequence[Node], root: Node) -> None:
        """A named value, with the ops around it whose results nothing else takes."""
        gates: dict[Node, Group] = {}
        sizes: dict[Group, int] = {}
        for node in reversed(nodes):
            if isinstance(node, Leaf):
                continue
            label = getattr(node, "label", None)
            if label is not None:
                gate = Group("gate", printable(label))
                gate.parent = self.of[node]
            else:
                found = {gates.get(user) for user in self.users[node]}
                only = found.pop() if len(found) == 1 and node is not root else None
                if only is None or only.parent is not self.of[node]:
                    continue
                gate = only
            gates[node] = gate
            sizes[gate] = sizes.get(gate, 0) + 1
        self.of.update({node: gate for node, gate in gates.items() if sizes[gate] > 1})


def printable(name: Any) -> str:
    """A name without what can't be printed."""
    return "".join(c if c.isprintable() else " " for c in str(name))


def _spans(nodes: Sequence[Node]) -> Iterator[Group]:
    """A group for each span that nodes refer to, and for each step of a scan."""
    spans = {id(span): Span(*span) for node in nodes for span in getattr(node, "spans", ())}
    for span in spans.values():
        owner, kind, name = None, "scan", span.made_by
        if isinstance(name, type):
            kind, name = "step" if getattr(name, "_is_step", False) else "module", name.__name__
            owner = span.owner() if span.owner is not None else None
        group = Group(kind, printable(name), span.start, span.end, owner)
        group.series = id(span.owner) if kind == "step" else None  # one for all calls
        yield group
        for (t, start), (_, end) in zip(span.steps, span.steps[1:], strict=False):
            step = Group("step", f"{group.title} step {t}", start, end)
            step.series = group
            yield step


def _nested(groups: Sequence[Group]) -> list[Group]:
    """Give each group its parent; those that overlap another by half are left out."""
    stack: list[Group] = []
    kept = []
    for group in groups:
        while stack and stack[-1].end <= group.start:
            stack.pop()
        if stack and group.end > stack[-1].end:
            continue  # of another thread
        group.parent = stack[-1] if stack else None
        if group.kind == "module":
            for above in stack:
                above.has_modules = True
        stack.append(group)
        kept.append(group)
    return kept


def _name_calls(calls: Sequence[Group], roots: Sequence[Any]) -> None:
    """Calls are called by the place of the module, and numbered if it is one step of a loop."""
    paths = {id(part): path for root in roots for path, part in root.named_modules()}
    counts: dict[Any, int] = {}
    loops = [(group.series, group.parent) for group in calls]
    for group, loop in zip(calls, loops, strict=True):
        path = printable(paths.get(id(group.owner), ""))
        if group.kind == "step":
            group.title = path or group.title
            if loops.count(loop) > 1:
                step = counts[loop] = counts.get(loop, -1) + 1
                group.title += f" step {step}"
        elif path:
            group.title = f"{path}: {group.title}"


def _placed(nodes: Sequence[Node], groups: Sequence[Group]) -> Iterator[tuple[Node, Group | None]]:
    """Nodes, in the order of their births, with the innermost group that they were born in."""
    coming, stack = list(reversed(groups)), []
    for node in nodes:
        while coming and coming[-1].start < node.birth:
            stack.append(coming.pop())
        stack = [group for group in stack if group.end > node.birth]
        yield node, None if isinstance(node, Leaf) or not stack else stack[-1]


def _step_of(line: Sequence[Group]) -> Group | None:
    """The innermost step of a line of groups."""
    return next((group for group in reversed(line) if group.kind == "step"), None)
