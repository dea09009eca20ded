"""Right and wrong derivatives: the set on which gradient checkers are measured.

Every case is a function `f(*arrays)` over NumPy arrays and a `vjp(arrays, cotangents)`, so that
any framework's checker can be put to it. There are three kinds:

- right: the derivative is right and the function well behaved. A checker must not fail it.
- hard: the derivative is right, and the function is one that makes checkers cry wolf: kinks at
  the inputs, huge offsets, cancellation, single precision, saturation, extreme scales.
- bug: one thing is wrong with the derivative. A checker must fail it.
"""

from . import hard, losses, ordinary, recurrent, second_order
from .case import Case

CASES: list[Case] = ordinary.CASES + losses.CASES + second_order.CASES
CASES += recurrent.CASES + hard.CASES
