"""What is in an array: a copy of its bytes; of one on a device a checksum that stays there."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np


def read_contents(owner: Any, backend: Any) -> Any:
    """A copy of the bytes, or a checksum of them that stays on the device."""
    on_device = getattr(backend, "fingerprint", None)
    return as_bytes(owner, backend) if on_device is None else on_device(owner)


def fingerprint(array: Any, backend: Any) -> Any:
    """A checksum: an int, or a number that stays on the device if the backend can compute it."""
    on_device = getattr(backend, "fingerprint", None)
    if on_device is not None:
        return on_device(array)
    return zlib.crc32(np.ascontiguousarray(_in_order(array, backend)).data)


def differs(owner: Any, then: Any, backend: Any) -> Any:
    """Whether the contents are others than then: a bool, or a truth value on the device."""
    return read_contents(owner, backend) != then


def is_known(then: Any, owner: Any, backend: Any) -> bool:
    """Whether the contents are surely those of then; a device is not waited for."""
    on_device = getattr(backend, "fingerprint", None) is not None
    return then is not None and not on_device and not differs(owner, then, backend)


def equal(a: Any, b: Any, backend: Any) -> bool:
    """Whether two contents are the same; a device is waited for."""
    if a is None or b is None:
        return False
    same = a == b
    return same if isinstance(same, bool) else bool(backend.to_host(same))


def as_bytes(owner: Any, backend: Any) -> bytes:
    """A copy of the bytes of an array, in some order that is always the same.

    Two strings are compared faster than two arrays, even with the copy.
    """
    return _in_order(owner, backend).tobytes()


def _in_order(owner: Any, backend: Any) -> np.ndarray:
    host = owner if isinstance(owner, np.ndarray) else backend.to_host(owner)
    return host.T if host.flags.f_contiguous else host
