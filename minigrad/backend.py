"""What a backend is, as plugins import it: the protocol, and the registry of backends."""

from .engine.backend import PROTOCOL, ArrayModuleBackend
from .engine.registry import (
    available_backends,
    current_backend,
    get_backend,
    register_backend,
    set_backend,
    use_backend,
)
from .errors import BackendError

__all__ = ["PROTOCOL", "ArrayModuleBackend", "BackendError", "available_backends"]
__all__ += ["current_backend", "get_backend", "register_backend", "set_backend", "use_backend"]
