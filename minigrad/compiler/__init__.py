"""From a cell to a kernel: one step traced, its work scheduled over time, its loop generated."""

from .symbolic import Untraceable as Untraceable
from .trace import Program as Program
from .trace import trace as trace
