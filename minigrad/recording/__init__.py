"""What happens inside a cell: names for its values, which are recorded or replaced."""

from .flow import connectivity, gradient_flow
from .override import override
from .probes import probe
from .record import record

__all__ = ["connectivity", "gradient_flow", "override", "probe", "record"]
