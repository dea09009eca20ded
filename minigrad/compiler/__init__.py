"""From a cell to a kernel: one step traced, its work scheduled over time, its loop generated."""

from ..fuse import FusionError as FusionError
from ..messages import Untraceable as Untraceable
from .trace import Program as Program
from .trace import trace as trace
