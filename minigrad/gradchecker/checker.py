"""The comparison of analytic with numeric slopes, and the verdict.

`check` looks, in this order, at the noise of the function, at the backward pass (its own
rounding error, linearity), at slopes, at the Taylor remainder, and at repetition.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .analytic import AnalyticGradient, largest
from .checked_function import CheckedFunction
from .compare import CAUTION, AnalyticSlope
from .finite_difference import measure
from .flattened import FlattenedFunction, random_weights
from .line import Line
from .noise import Noise, length
from .remeasure import look_again, look_closer, moves_in_steps
from .report import FAIL, INCONCLUSIVE, PASS, Entry, Name, Report, place
from .slope import Slope

LEAST = 20  # evaluations, before any slope is looked at
BUDGET = 4000  # evaluations, where they suffice for every entry ...
SAMPLE = 1000  # ... and where not
TYPICAL = 8  # evaluations per entry of a smooth function
RESERVE = 50  # evaluations that a slope may cost at most ...
MEAN = 40  # ... and all of them on average
SINGLE = 1e-6  # a relative error that one float32 inside explains proves nothing
RESOLVED = 1e-3  # PASS means: an error of this relative size would have been noticed ...
COARSEST = 0.1  # ... or of this one, whatever the precision
WEIGHT = 1e-2  # ... in every entry of at least this size, relative to the input's largest

Array = np.ndarray


def check(target: CheckedFunction, seed: int, budget: int | None, order: int) -> Report:
    """Check the gradient of `target` at its arrays."""
    # Steps may leave the domain of the function; that is seen by the values, without warnings.
    with target.session(), np.errstate(all="ignore"):
        return _Check(target, seed, budget, order).run()


class _Check:
    def __init__(self, target: CheckedFunction, seed: int, budget: int | None, order: int) -> None:
        self.target = target
        self.rng = np.random.default_rng([seed, order])
        self.flat = flat = FlattenedFunction(target)
        if budget is None:
            budget = BUDGET if TYPICAL * flat.x.size <= BUDGET else SAMPLE
        self.budget = budget
        # Single precision can't resolve as much; half precision, not even a sign, proves nothing.
        self.resolved = min(max(RESOLVED, 1e5 * flat.eps), COARSEST)
        self.report = Report(order=order, seed=seed, budget=budget)
        self.scales = flat.scales()  # (N,)
        self.nearby = flat.nearby(self.scales)  # (N,)
        self.found: list[Entry] = []
        self.wrong: list[tuple[float, int]] = []  # severity of wrong entries, and which
        self.spanned: list[Name] = []  # the input that each direction ran through
        self.checked = np.zeros(flat.x.size, bool)

    def run(self) -> Report:
        self._look_at_noise()
        self._look_at_backward()
        self._look_at_slopes()
        self._look_at_taylor()
        self._look_at_repetition()
        self._conclude()
        return self.report

    # --- noise, and the backward pass on its own -------------------------------------------------

    def _look_at_noise(self) -> None:
        flat = self.flat
        # Close enough for a parabola to fit to the last digit, and no two steps alike.
        spacing = 0.2 * flat.eps ** (1 / 3)
        places = spacing * (np.arange(Noise.POINTS) + self.rng.random(Noise.POINTS))
        places[0] = 0.0
        away = random_weights(self.rng, flat.x.size) * self.nearby
        points = [flat.rounded(flat.x + t * away) for t in places]
        samples = [flat.base]
        for point in points[1:]:
            y = flat.function(point)
            samples.append(np.where(np.isfinite(y), y, flat.base))
        self.dead = not np.any(samples)  # zero here and nearby
        outputs = np.stack(samples)  # (POINTS, M)
        self.bare = Noise(places, outputs, np.ones(flat.base.size), flat.grid)
        self.v = flat.cotangent(self.rng, self.bare)  # (M,)
        noise = Noise(places, outputs, self.v, flat.grid)
        self.line = Line(flat.function, flat.x, flat.base, self.v, noise, flat.grid, axis=0)
        self.report.noise_floor = noise.outside(np.zeros(0, int))

    def _look_at_backward(self) -> None:
        """The gradient, its rounding error, and whether it is linear in the cotangent."""
        flat, v = self.flat, self.v
        self.backward = AnalyticGradient(flat, v, self.nearby, self.rng)
        if self.dead:  # as when equals cancel: what is left of the gradient may be rounding
            self.backward.assume(200 * flat.eps * largest(v) / self.scales)
        blur = CAUTION * (self.report.noise_floor + 50 * flat.eps * largest(v)) / self.scales
        self.backward.look_at_linearity(flat.cotangent(self.rng, self.bare), blur)

    # --- slopes ----------------------------------------------------------------------------------

    def _look_at_slopes(self) -> None:
        flat, report = self.flat, self.report
        usable = np.isfinite(flat.x)
        if not usable.all():
            self.target.note(
                f"{int((~usable).sum())} entries of the inputs are not finite and were not checked"
            )
        order = self.rng.permutation(np.flatnonzero(usable))
        many = TYPICAL * order.size > self.budget
        if many:
            self._directions(order)
        # If not every entry can be reached, there will be directions to pay for.
        kept = RESERVE if many else RESERVE + 2 * TYPICAL * len(flat.parts)
        for i in order:
            if flat.evaluations + kept > self.budget:
                break
            if not self.checked[i]:
                self._entry(int(i))
        left = order[~self.checked[order]]
        if left.size and not many:
            self._directions(left)
        self.uncovered = [
            name
            for name, part, _ in flat.parts
            if name not in self.spanned and not self.checked[part][usable[part]].all()
        ]
        report.directions = len(self.spanned)

    def _directions(self, indices: Array) -> None:
        """Random combinations of the entries `indices`, two for each input."""
        chosen = np.zeros(self.flat.x.size, bool)
        chosen[indices] = True
        for _ in range(2):
            for name, part, _ in self.flat.parts:
                inside = np.zeros_like(chosen)
                inside[part] = chosen[part]
                if inside.any() and self.flat.evaluations + RESERVE <= self.budget:
                    self.spanned.append(name)
                    self._direction(name, inside)

    def _direction(self, name: Name, inside: Array) -> None:
        """One combination of the entries that the mask (N,) picks."""
        entry = self._combination(name, inside)
        if entry.status == "kink" and self._search(inside, self._has_kink, "kink"):
            entry = self._combination(name, inside & ~self.checked)
        self.found.append(entry)
        named = any(e.name == name and e.status == "wrong" and e.index for e in self.found)
        if entry.status == "wrong" and not named:
            self._search(inside, self._is_wrong, "wrong", first=True)

    def _combination(self, name: Name, inside: Array) -> Entry:
        direction = np.where(inside, random_weights(self.rng, inside.size) * self.scales, 0.0)
        parts = np.where(inside, self.backward.g, 0.0) * direction
        size = length(parts)
        analytic = self._analytic_slope(float(parts.sum()), size, direction)
        # A kink in one entry of many shows only close up.
        slope = measure(
            self._along(direction),
            lambda slope: len(slope.levels) >= 6 and analytic.is_settled(slope),
            analytic.slope,
            CAUTION,
        )
        return self._judged(Entry(name, None, analytic.slope), analytic, slope, direction)

    def _judged(
        self, entry: Entry, analytic: AnalyticSlope, slope: Slope, direction: Array
    ) -> Entry:
        """The entry with its status; none is called wrong before a second look."""
        judged = analytic.judged(entry, slope)
        if judged.status == "wrong" and self.backward.look_again():
            analytic = replace(analytic, rounding=self._rounding(direction))
            judged = analytic.judged(entry, slope)
        if judged.status == "wrong" and entry.index is not None:
            closer = look_closer(slope, self._along(int(np.flatnonzero(direction)[0])))
            if closer is not None:
                judged = analytic.judged(entry, closer)
        return judged

    def _search(
        self, inside: Array, test: Callable[[Array], bool], status: str, first: bool = False
    ) -> int:
        """Halve the picked entries again and again; check those that `test` leads to, one by one.

        Returns how many of them turned out to be of `status`; `first` stops at the first.
        """
        hits = 0
        stack = [np.flatnonzero(inside)]
        while stack and self.flat.evaluations + RESERVE <= self.budget:
            indices = stack.pop()
            if indices.size == 1:
                if not self.checked[indices[0]]:
                    hits += self._entry(int(indices[0])).status == status
                if hits and first:
                    break
                continue
            halves = np.array_split(indices, 2)
            stack += [half for half in halves if test(half)]
        return hits

    def _has_kink(self, indices: Array) -> bool:
        """Whether right and left slope of a combination of entries disagree close up."""
        direction = np.zeros(self.flat.x.size)
        direction[indices] = random_weights(self.rng, indices.size) * self.scales[indices]
        line = self._along(direction)
        step = math.sqrt(self.flat.eps)
        wider, narrower = line.level(step), line.level(step / 8)
        if wider is None or narrower is None:
            return False
        wide, (narrow, touched) = wider[0], narrower
        jitter = 2.5 * max(line.noise.summed(touched), narrow.rounding[1]) / narrow.step
        return narrow.jump > max(0.6 * wide.jump, 4 * jitter)

    def _is_wrong(self, indices: Array) -> bool:
        inside = np.zeros(self.flat.x.size, bool)
        inside[indices] = True
        return self._combination("", inside).status == "wrong"

    def _along(self, axis: int | Array) -> Line:
        scale = 1.0 if isinstance(axis, np.ndarray) else float(self.scales[axis])
        return replace(self.line, axis=axis, scale=scale)

    def _entry(self, i: int) -> Entry:
        """One entry of one input."""
        self.checked[i] = True
        line, name, index = self._along(i), *self.flat.locate(i)
        direction = np.arange(self.checked.size) == i
        analytic = self._analytic_slope(
            float(self.backward.g[i]), float(self.backward.largest[i]), direction
        )
        slope = measure(line, analytic.is_settled, analytic.slope, CAUTION)
        if not (slope.flat or slope.kink or slope.edge):
            if slope.value == slope.levels[-1].bound == 0 and analytic.slope:
                slope = replace(slope, stepped=moves_in_steps(slope))
            elif not analytic.is_confirmed(slope):
                slope = look_again(slope, self.rng)
            if slope.unseen > slope.error and not analytic.agrees(slope.value, slope.error):
                # Outputs that don't move at all blur the picture: take their share out.
                v = np.zeros_like(self.v)
                v[slope.touched] = self.v[slope.touched]
                analytic = replace(analytic, slope=float(self.flat.vjp(self.flat.x, v)[i]))
                slope = replace(slope, unseen=0.0)
        entry = self._judged(Entry(name, index, analytic.slope), analytic, slope, direction)
        entry.where = self.target.where(name, index)
        self.found.append(entry)
        if entry.status == "wrong":
            self.wrong.append((entry.severity, i))
        return entry

    def _analytic_slope(self, slope: float, size: float, direction: Array) -> AnalyticSlope:
        needed = self.resolved * max(abs(slope), WEIGHT * size)
        rounding = self._rounding(direction) + SINGLE * abs(slope)
        return AnalyticSlope(slope, rounding, needed, 100 * self.flat.eps * largest(self.v))

    def _rounding(self, direction: Array) -> float:
        """How far the analytic slope along a direction may be off."""
        on_it = np.flatnonzero(direction)
        return 8 * length(self.backward.noise[on_it] * direction[on_it])

    # --- the whole -------------------------------------------------------------------------------

    def _look_at_taylor(self) -> None:
        """How the remainder of the first-order expansion falls with the step.

        Along a random direction, or the one entry that is wrong the most.
        """
        flat = self.flat
        room = min(self.budget, MEAN * max(1, int(self.checked.sum())))
        if flat.evaluations + 9 > room or any(e.status in ("kink", "edge") for e in self.found):
            return
        noise = self.report.noise_floor

        def change(point: Array) -> float:
            return float(((flat.function(point) - flat.base) * self.v).sum())

        def curvature(line: Line) -> float:
            t = 0.03 * flat.eps ** (1 / 4)
            return abs(change(line.point(t)) + change(line.point(-t))) / (2 * t * t)

        away = np.where(np.isfinite(flat.x), self.scales, 0.0)
        if self.wrong:
            away[np.arange(away.size) != max(self.wrong)[1]] = 0.0
        # Of two directions the more curved one: in the other there may be little to see.
        lines = [self._along(random_weights(self.rng, away.size) * away) for _ in range(2)]
        curved, line = max(((curvature(line), line) for line in lines), key=lambda pair: pair[0])
        if not math.isfinite(curved):
            return
        # As small a step as noise allows: there an error of first order shows best.
        first = min(math.sqrt(200 * noise / max(curved, noise, 1e-300)), 0.01)
        for t in (first, 2 * first, 4 * first):
            point = line.point(t)
            moved = np.where(point == flat.x, 0.0, point - flat.x)  # exactly, with its rounding
            remainder = abs(change(point) - float((self.backward.g * moved).sum()))
            self.report.taylor.append((t, remainder))
        if all(remainder > 50 * noise for _, remainder in self.report.taylor):
            steps, remainders = np.log(np.array(self.report.taylor)).T
            self.report.taylor_slope = float(np.polyfit(steps, remainders, 1)[0])

    def _look_at_repetition(self) -> None:
        """The same input must give the same outputs and gradients, whatever came in between."""
        flat = self.flat
        off = np.abs(flat.function(flat.x) - flat.base)
        if not self.line.noise.allows(off * np.abs(self.v)).all():
            self.target.fault(
                "the function is not deterministic: the same input gave other outputs at a later "
                f"call (off by {off.max():.2g}, outputs up to {np.abs(flat.base).max():.2g}). Fix "
                "its random seed, or reset the state that it keeps"
            )
        if self.backward.is_off(flat.vjp(flat.x, self.v)):
            self.target.fault(
                "the backward pass is not deterministic: the same input and cotangent gave "
                "another gradient at a later call. Fix its random seed, or reset the state that "
                "it keeps"
            )

    def _conclude(self) -> None:
        report, flat = self.report, self.flat
        report.evaluations = flat.evaluations
        report.covered = {
            name: (int(self.checked[part].sum()), part.stop - part.start)
            for name, part, _ in flat.parts
        }
        self.found.sort(key=_order)
        report.worst = self.found[0] if self.found else None
        report.entries = [entry for entry in self.found if entry.status != "agrees"]
        order = {name: i for i, (name, _, _) in enumerate(flat.parts)}
        kinks = [
            (e.name, e.index) for e in self.found if e.status == "kink" and e.index is not None
        ]
        report.kinks = sorted(kinks, key=lambda kink: (order[kink[0]], kink[1]))
        report.resolution = max((self._resolution(entry) for entry in self.found), default=None)
        report.notes = self.target.notes
        report.reasons = self.target.faults + self._wrong()
        report.verdict = FAIL
        if not report.reasons:
            report.reasons = self._doubts()
            report.verdict = INCONCLUSIVE if report.reasons else PASS

    def _wrong(self) -> list[str]:
        wrong = [entry for entry in self.found if entry.status == "wrong"]
        if not wrong:
            return []
        names = ", ".join(dict.fromkeys(place(entry.name) for entry in wrong))
        said = f"the gradient is wrong in {len(wrong)} of {len(self.found)} slopes, in {names}"
        lost = sum(not math.isfinite(entry.analytic) for entry in wrong)
        return [said + (f"; in {lost} it is NaN or infinite" if lost else "")]

    def _doubts(self) -> list[str]:
        texts = {
            "kink": "on a kink, where slopes to the right and to the left differ",
            "edge": "at the edge of the domain, with finite outputs on one side at most",
            "noise": f"below the noise floor of {self.report.noise_floor:.1e}",
            "rounding": "in which the gradient itself is little but rounding error",
        }
        doubts = []
        for status, text in texts.items():
            entries = [entry for entry in self.found if entry.status == status]
            if entries:
                doubts.append(
                    f"{len(entries)} of {len(self.found)} slopes {text}: {_list(entries)}"
                )
        if not self.flat.output_shapes:
            doubts.append("vacuous: there is nothing to check, no output is of a float dtype")
        elif self.flat.x.size == 0 or self.flat.base.size == 0:
            doubts.append("vacuous: there is nothing to check, inputs or outputs are empty")
        elif self.uncovered:
            names = ", ".join(place(name) for name in self.uncovered)
            doubts.append(f"the budget of {self.budget} evaluations did not suffice for {names}")
        elif not self.backward.g.any() and not any(entry.numeric for entry in self.found):
            doubts.append("vacuous: the gradient is zero everywhere")
        return doubts

    def _resolution(self, entry: Entry) -> float:
        """The relative error that would have been noticed in a slope that matters."""
        size = abs(entry.analytic)
        if entry.index is not None:
            part = next(part for name, part, _ in self.flat.parts if name == entry.name)
            size = max(size, WEIGHT * largest(self.backward.g[part]))
        return CAUTION * entry.error / size if size else 0.0


def _order(entry: Entry) -> tuple[bool, bool, float]:
    """What is wrong comes first, single entries before directions."""
    right = entry.status != "wrong"
    return right, not right and entry.index is None, -entry.severity


def _list(entries: list[Entry], limit: int = 20) -> str:
    text = ", ".join(place(entry.name, entry.index) for entry in entries[:limit])
    return text if len(entries) <= limit else f"{text} and {len(entries) - limit} more"
