"""From nodes and their groups to a `Drawing`: what is folded into one box, and what is inside.

A box that stands for a group opens: inside is a drawing of its nodes, folded at the next finer
level. Arrows between boxes are those between their nodes.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

from ..engine.graph import Node
from ..engine.tensor import Leaf
from .boxes import Boxes, make_box
from .groups import Group, Groups
from .parts import Arrow, Box
from .programs import program_drawing
from .render import Drawing

LEVELS = ("layer", "step", "gate")
Unit = Node | Group | int  # what has a box: a node, nodes folded, a constant by its id


class Pictures:
    """Drawings of parts of a graph, whose result is `root`.

    `most` is how many boxes a drawing may have, `steps` how many steps of a loop it shows.
    """

    def __init__(self, boxes: Boxes, groups: Groups, root: Node, most: int, steps: int) -> None:
        self._boxes, self._groups, self._root = boxes, groups, root
        self.most, self._steps = most, steps

    def units(self, nodes: Sequence[Node], fold: Any, within: Group | None) -> dict[Any, Unit]:
        """What stands for each node and constant, in the order of the boxes."""
        units: dict[Any, Unit] = {}
        constants: dict[int, list[Unit]] = {}
        for node in nodes:
            unit: Unit = self._closed(node, fold, within) or node
            for key, _ in self._boxes.inputs(node):
                if isinstance(key, int):
                    units.setdefault(key, key)
                    constants.setdefault(key, []).append(unit)
            units[node] = unit
        for key, users in constants.items():
            alone = len(set(users)) == 1 and isinstance(users[0], Group)
            if alone and key not in self._boxes.arrays:
                units[key] = users[0]
        return self._few_steps(units)

    def drawing(
        self, nodes: Sequence[Node], fold: Any, within: Group | None, notes: Sequence[str] = ()
    ) -> Drawing | None:
        """The drawing of some nodes; None if it would have too many boxes."""
        units = self.units(nodes, fold, within)
        outer = self._around(nodes, units) if within is not None else {}
        members = self._members(nodes, outer | units)
        if len(members) > self.most:
            return None
        boxes: list[Box] = []
        places: dict[Unit, int] = {}
        inside: dict[int, Drawing] = {}
        for unit, keys in members.items():
            places[unit] = len(boxes)
            if unit in outer.values() and unit not in units:
                boxes.append(self._outside(unit, nodes))
            else:
                boxes.append(self._box(unit, keys, nodes, within))
                if (opened := self._inside(unit, keys, fold)) is not None:
                    inside[places[unit]] = opened
        stands = outer | units
        arrows = list(self._arrows(nodes, stands, places))
        return Drawing(_unique(boxes), arrows, notes, inside)

    # --- what is folded --------------------------------------------------------------------

    def _closed(self, node: Node, fold: Any, within: Group | None) -> Group | None:
        """The outermost group of a node that is folded."""
        line = self._groups.line(node)
        if within is not None and within.kind != "more":
            line = line[line.index(within) + 1 :]
        elif within is not None:
            line = line[len(within.line()) - 1 :]
        return next((group for i, group in enumerate(line) if _closes(group, fold, i)), None)

    def _few_steps(self, units: dict[Any, Unit]) -> dict[Any, Unit]:
        """One box for the steps in the middle of a loop of many."""
        loops: dict[Any, list[Group]] = {}
        for unit in dict.fromkeys(units.values()):
            if isinstance(unit, Group) and unit.series is not None:
                loops.setdefault((unit.series, unit.parent), []).append(unit)
        for (_, parent), loop in loops.items():
            loop.sort(key=lambda step: step.start)
            still = set(units.values())  # some may be in the box of another loop by now
            middle = [step for step in loop[self._steps - 1 : -1] if step in still]
            if len(middle) > 1:
                name = middle[0].title.rpartition(" step ")[0]
                more = Group("more", f"{name} {len(middle)} more steps")
                more.parent = parent
                together = self._between(units, set(middle))
                units = {key: more if unit in together else unit for key, unit in units.items()}
        return units

    def _between(self, units: dict[Any, Unit], some: set[Any]) -> set[Unit]:
        """What lies on a way from some units to some: in one box it must not stay outside."""
        before: dict[Unit, set[Unit]] = {unit: set() for unit in units.values()}
        after: dict[Unit, set[Unit]] = {unit: set() for unit in units.values()}
        for node, unit in units.items():
            for key in self._taken(node, units) if isinstance(node, Node) else ():
                if units[key] is not unit:
                    before[unit].add(units[key])
                    after[units[key]].add(unit)
        return _reached(before, some) & _reached(after, some)

    # --- boxes -----------------------------------------------------------------------------

    def _members(self, nodes: Sequence[Node], units: dict[Any, Unit]) -> dict[Unit, list[Any]]:
        """By unit what it stands for; a unit comes after all that it takes, in old order."""
        born: dict[Any, float] = {}
        for node in nodes:
            for key, _ in self._boxes.inputs(node):
                born.setdefault(key, node.birth - 0.5)  # constants, before their first user
            born[node] = node.birth
        members: dict[Unit, list[Any]] = {}
        for key, unit in units.items():
            members.setdefault(unit, []).append(key)
        last = {unit: max(born[key] for key in keys) for unit, keys in members.items()}
        own = set(nodes)  # what comes from elsewhere waits for nothing
        waits = {
            unit: {units[k] for n in keys if n in own for k in self._taken(n, units)}
            for unit, keys in members.items()
        }
        return {unit: members[unit] for unit in _in_order(waits, last)}

    def _taken(self, node: Node, units: dict[Any, Unit]) -> Iterator[Any]:
        """What a node takes of what has a unit."""
        return (key for key, _ in self._boxes.inputs(node) if key in units)

    def _box(self, unit: Unit, keys: list[Any], nodes: Sequence[Node], within: Group | None) -> Box:
        if isinstance(unit, int):
            user = next(n for n in nodes if unit in dict(self._boxes.inputs(n)))
            return self._boxes.constant(user, unit)
        if isinstance(unit, Group):
            own = [node for node in keys if isinstance(node, Node)]
            title = unit.title
            if unit.kind == "gate" and unit.parent is not None and unit.parent is not within:
                title = f"{unit.parent.title}: {title}"
            return self._boxes.of_group(title, own, list(self._leaving(own)))
        box = self._boxes.of(unit)
        ends = unit is self._root if within is None else self._leaves(unit, set(nodes))
        return box._replace(kind="result") if ends and not isinstance(unit, Leaf) else box

    def _leaving(self, nodes: Sequence[Node]) -> Iterator[Node]:
        """Those of some nodes whose results are used elsewhere."""
        within = set(nodes)
        for node in nodes:
            if not isinstance(node, Leaf) and self._leaves(node, within):
                yield node

    def _leaves(self, node: Node, within: set[Node]) -> bool:
        return node is self._root or any(u not in within for u in self._groups.users[node])

    def _inside(self, unit: Unit, keys: list[Any], fold: Any) -> Drawing | None:
        """What a box shows when it opens."""
        if isinstance(unit, Group) and unit.kind != "more":
            own = [node for node in keys if isinstance(node, Node)]
            return self.drawing(own, self._finer(unit, own, fold), unit)
        describe = getattr(unit.op, "inside", None) if isinstance(unit, Node) else None
        return None if describe is None else program_drawing(describe(unit)[1])

    def _finer(self, group: Group, nodes: Sequence[Node], fold: Any) -> Any:
        """How the inside of a group is folded: at the next level where something is.

        There may be steps within a step, of a scan in a scan.
        """
        if isinstance(fold, int):
            return fold
        for level in LEVELS[max(1, LEVELS.index(fold)) :]:
            if any(self._closed(node, level, group) for node in nodes):
                return level
        return None

    def _around(self, nodes: Sequence[Node], units: dict[Any, Unit]) -> dict[Any, Unit]:
        """What some nodes take from elsewhere."""
        taken = (key for node in nodes for key, _ in self._boxes.inputs(node))
        return {key: key for key in taken if key not in units}

    def _outside(self, unit: Unit, nodes: Sequence[Node]) -> Box:
        """The box of what comes from elsewhere."""
        if not isinstance(unit, Node) or isinstance(unit, Leaf):
            return self._box(unit, [], nodes, None)
        box, line = self._boxes.of(unit), self._groups.line(unit)
        above = next((group for group in reversed(line) if group.kind != "gate"), None)
        made = "" if above is None else f"from {above.title}"
        name = self._boxes.name(unit) or box.title
        return make_box("outside", name, "", made or box.subtitle, list(box.rows))

    # --- arrows ----------------------------------------------------------------------------

    def _arrows(
        self, nodes: Sequence[Node], stands: dict[Any, Unit], places: dict[Unit, int]
    ) -> Iterator[Arrow]:
        folded: dict[tuple[int, int], str] = {}
        plain = []
        for node in nodes:
            inputs = list(self._boxes.inputs(node))
            for key, label in inputs:
                tail, head = stands[key], stands[node]
                if tail is head:
                    continue
                arrow = Arrow(places[tail], places[head], label if len(inputs) > 1 else "")
                if isinstance(tail, Group) or isinstance(head, Group):
                    pair = arrow.tail, arrow.head
                    known = isinstance(head, Group) or pair in folded
                    folded[pair] = "" if known else arrow.label
                else:
                    plain.append(arrow)
        yield from plain
        yield from (Arrow(*pair, label) for pair, label in folded.items())


def _closes(group: Group, fold: Any, depth: int) -> bool:
    """Whether a group, at a depth in the picture, is one box."""
    if fold is None or isinstance(fold, int):
        return fold is not None and depth >= fold
    if fold == "layer":
        return group.kind in ("scan", "step") or (group.kind == "module" and not group.has_modules)
    return group.kind == fold


def _reached(ways: dict[Unit, set[Unit]], start: set[Any]) -> set[Unit]:
    seen, stack = set(start), list(start)
    while stack:
        for unit in ways[stack.pop()] - seen:
            seen.add(unit)
            stack.append(unit)
    return seen


def _in_order(waits: dict[Unit, set[Unit]], rank: dict[Unit, float]) -> Iterator[Unit]:
    """Units, each after those that it waits for, and otherwise by rank."""
    before = {unit: others - {unit} for unit, others in waits.items()}
    after: dict[Unit, list[Unit]] = {unit: [] for unit in waits}
    for unit, others in before.items():
        for other in others:
            after[other].append(unit)
    numbers = {unit: i for i, unit in enumerate(waits)}  # as units can't be compared
    ready = [(rank[unit], numbers[unit], unit) for unit in waits if not before[unit]]
    heapq.heapify(ready)
    while ready:
        *_, unit = heapq.heappop(ready)
        yield unit
        for other in after[unit]:
            before[other].discard(unit)
            if not before[other]:
                heapq.heappush(ready, (rank[other], numbers[other], other))


def _unique(boxes: Sequence[Box]) -> list[Box]:
    """The boxes, with numbers where two that are folded, or two leaves, have one title."""
    counts: dict[str, int] = {}
    found = []
    for box in boxes:
        if box.kind in ("group", "leaf") and box.title != "leaf":
            count = counts[box.title] = counts.get(box.title, 0) + 1
            if count > 1:
                box = box._replace(title=f"{box.title} ({count})")
        found.append(box)
    return found
