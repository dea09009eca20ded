"""The table of ops: every op's forward and derivatives, by family."""

from typing import TYPE_CHECKING

from . import (
    arithmetic,
    bits,
    choices,
    comparisons,
    convert,
    exponentials,
    indexing,
    products,
    reductions,
    shape,
    trigonometry,
)
from . import methods as methods
from .arithmetic import *
from .bits import *
from .choices import *
from .comparisons import *
from .convert import *
from .exponentials import *
from .indexing import *
from .products import *
from .reductions import *
from .shape import *
from .trigonometry import *

if not TYPE_CHECKING:  # type checkers take all that is imported by * for public
    __all__ = [*arithmetic.__all__, *bits.__all__, *choices.__all__, *comparisons.__all__]
    __all__ += [*convert.__all__, *exponentials.__all__, *indexing.__all__, *products.__all__]
    __all__ += [*reductions.__all__, *shape.__all__, *trigonometry.__all__]
