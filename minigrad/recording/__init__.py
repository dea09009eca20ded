"""What happens inside a cell: names for its values, which are recorded or replaced."""

from .override import override
from .probes import probe
from .record import record

__all__ = ["override", "probe", "record"]
