"""The table of ops: every op's forward and derivatives, by family."""

from typing import TYPE_CHECKING

from . import (
    arithmetic,
    bits,
    choices,
    closeness,
    comparisons,
    convert,
    diagonals,
    exponentials,
    indexing,
    order,
    products,
    reductions,
    rounding,
    running,
    shape,
    trigonometry,
)
from . import methods as methods
from .arithmetic import *
from .bits import *
from .choices import *
from .closeness import *
from .comparisons import *
from .convert import *
from .diagonals import *
from .exponentials import *
from .indexing import *
from .order import *
from .products import *
from .reductions import *
from .rounding import *
from .running import *
from .shape import *
from .trigonometry import *

if not TYPE_CHECKING:  # type checkers take all that is imported by * for public
    __all__ = [*arithmetic.__all__, *bits.__all__, *choices.__all__, *closeness.__all__]
    __all__ += [*comparisons.__all__, *convert.__all__, *diagonals.__all__]
    __all__ += [*exponentials.__all__, *indexing.__all__]
    __all__ += [*order.__all__, *products.__all__, *reductions.__all__, *rounding.__all__]
    __all__ += [*running.__all__, *shape.__all__, *trigonometry.__all__]
