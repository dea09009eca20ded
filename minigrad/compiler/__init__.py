"""From a cell to a kernel: one step traced, its work scheduled over time, its loop generated."""

from ..messages import Untraceable as Untraceable
from .dispatch import FusionError as FusionError
from .dispatch import dispatch_counts as dispatch_counts
from .dispatch import reset_dispatch_counts as reset_dispatch_counts
from .trace import Program as Program
from .trace import trace as trace
