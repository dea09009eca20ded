"""Sizes with names: integers that remember their arithmetic.

A program of one step reads `4*H` where the traced arrays had 512, and so serves every size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

Polynomial = dict[tuple[str, ...], Fraction]  # by product of names its factor; () is the constant


class Dim(int):
    """A size with its name: an int whose sums, products and exact quotients are Dims again."""

    form: Polynomial

    def __new__(cls, value: int, form: str | Polynomial) -> Dim:
        """A number with a name, or with a polynomial of names."""
        dim = super().__new__(cls, value)
        dim.form = {(form,): Fraction(1)} if isinstance(form, str) else form
        return dim

    @property
    def counts_rows(self) -> bool:
        """Whether it grows with N, the number of sequences."""
        return any("N" in names for names in self.form)

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        total = dict(self.form)
        for names, factor in form_of(other).items():
            total[names] = total.get(names, Fraction(0)) + factor
        return _dim(int(self) + int(other), total)

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        return _dim(int(self) * int(other), _times(self.form, form_of(other)))

    def __floordiv__(self, other: Any) -> Any:
        if not isinstance(other, int) or isinstance(other, Dim) or int(self) % other:
            return int(self) // other  # not exact: a plain number, right for this size only
        return _dim(int(self) // other, {n: f / other for n, f in self.form.items()})

    def __neg__(self) -> Any:
        return self * -1

    def __sub__(self, other: Any) -> Any:
        return self + -other if isinstance(other, int) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return -self + other if isinstance(other, int) else NotImplemented

    __radd__ = __add__
    __rmul__ = __mul__

    def __repr__(self) -> str:
        return form_text(self.form)


def _dim(value: int, form: Polynomial) -> int:
    form = {names: factor for names, factor in form.items() if factor}
    return value if set(form) <= {()} else Dim(value, form)


def form_of(size: int) -> Polynomial:
    """The polynomial of a size; a plain integer is a constant."""
    return size.form if isinstance(size, Dim) else {(): Fraction(size)}


def form_text(form: Polynomial) -> str:
    """A polynomial as Python text: 4*H, I + H, (H + 1)//2."""
    whole = math.lcm(*(factor.denominator for factor in form.values()))
    terms = []
    for names, factor in sorted(form.items(), key=lambda item: item[0] == ()):
        count = abs(factor * whole).numerator
        text = "*".join([str(count), *names] if count != 1 or not names else names)
        terms.append(("- " if factor < 0 else "+ ") + text)
    text = " ".join(terms).removeprefix("+ ") or "0"
    if whole == 1:
        return text
    return f"({text})//{whole}" if len(terms) > 1 or text[0] == "-" else f"{text}//{whole}"


def substitute(form: Polynomial, names: dict[str, Polynomial]) -> Polynomial:
    """A polynomial without those names that others stand for."""
    out: Polynomial = {}
    for product, factor in form.items():
        term: Polynomial = {(): factor}
        for name in product:
            inner: Polynomial = {(name,): Fraction(1)}
            term = _times(term, substitute(names[name], names) if name in names else inner)
        for product_, factor_ in term.items():
            out[product_] = out.get(product_, Fraction(0)) + factor_
    return {product: factor for product, factor in out.items() if factor}


def _times(a: Polynomial, b: Polynomial) -> Polynomial:
    total: Polynomial = {}
    for x, p in a.items():
        for y, q in b.items():
            names = tuple(sorted(x + y))
            total[names] = total.get(names, Fraction(0)) + p * q
    return total


def solve(pairs: Sequence[tuple[int, int]], order: list[str]) -> dict[str, Polynomial]:
    """What the sizes that must be equal say of the names: later names in terms of earlier ones."""
    names: dict[str, Polynomial] = {}
    for a, b in pairs:
        difference = substitute(form_of(a), names)
        for product, factor in substitute(form_of(b), names).items():
            difference[product] = difference.get(product, Fraction(0)) - factor
        difference = {p: f for p, f in difference.items() if f}
        single = [p[0] for p in difference if len(p) == 1]
        if not single:
            continue
        name = max(single, key=order.index)
        factor = difference.pop((name,))
        if any(name in product for product in difference):
            continue
        names[name] = {p: -f / factor for p, f in difference.items()}
    return names
