"""The table of ops: every op's forward and derivatives, by family."""

from . import methods as methods
from .bits import *
from .convert import *
from .elementwise import *
from .indexing import *
from .products import *
from .reductions import *
from .shape import *
