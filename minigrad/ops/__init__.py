"""The table of ops: every op's forward and derivatives, by family."""

from typing import TYPE_CHECKING

from . import bits, comparisons, convert, elementwise, indexing, products, reductions, shape
from . import methods as methods
from .bits import *
from .comparisons import *
from .convert import *
from .elementwise import *
from .indexing import *
from .products import *
from .reductions import *
from .shape import *

if not TYPE_CHECKING:  # type checkers take all that is imported by * for public
    __all__ = [*bits.__all__, *comparisons.__all__, *convert.__all__, *elementwise.__all__]
    __all__ += [*indexing.__all__, *products.__all__, *reductions.__all__, *shape.__all__]
