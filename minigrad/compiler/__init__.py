"""From a cell to a kernel: one step traced, its work scheduled over time, its loop generated."""

from ..errors import FusionError as FusionError
from ..errors import Untraceable as Untraceable
from .program import Program as Program
from .trace import trace as trace
