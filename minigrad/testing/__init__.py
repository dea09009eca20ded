"""Tools for those who write a backend or an op of their own; the project's tests use the same.

`check_backend` needs NumPy alone. The strategies for property tests are in
`minigrad.testing.strategies` and need hypothesis.
"""

from .conformance import ConformanceError, ConformanceReport, check_backend

__all__ = ["ConformanceError", "ConformanceReport", "check_backend"]
