"""What the conformance kit found, as a report and as an error."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Line:
    """What one name of the protocol (or one check of the engine) did: all is well if no failure."""

    name: str
    calls: int
    failures: list[str]


@dataclass(repr=False)
class ConformanceReport:
    """What `check_backend` found; as text it is a table.

    Attributes
    ----------
    backend : the backend's name.
    lines : one per protocol name and per check of the engine, with its failures.
    ok : whether there is no failure.

    >>> from minigrad.testing import check_backend
    >>> report = check_backend("numpy")
    >>> report.backend, report.ok
    ('numpy', True)
    """

    backend: str
    lines: list[Line]

    @property
    def ok(self) -> bool:
        """Whether nothing failed.

        >>> from minigrad.testing import check_backend
        >>> check_backend("numpy").ok
        True
        """
        return not any(line.failures for line in self.lines)

    def __repr__(self) -> str:
        return str(self)  # what a prompt shows

    def __str__(self) -> str:
        failed = sum(bool(line.failures) for line in self.lines)
        rows = [
            f"{'FAIL' if line.failures else 'ok':5}{line.name:24}{line.calls:5} calls"
            + "".join(f"\n       {failure}" for failure in line.failures[:3])
            + (f"\n       and {more} more" if (more := len(line.failures) - 3) > 0 else "")
            for line in self.lines
        ]
        verdict = f"{failed} of {len(rows)} lines fail" if failed else f"all {len(rows)} lines pass"
        return "\n".join([*rows, f"backend {self.backend!r}: {verdict}"])


class ConformanceError(AssertionError):
    """A backend does not do what the protocol says; carries the `report`.

    >>> from minigrad.testing import check_backend
    >>> class Wrong(mg.ArrayModuleBackend):
    ...     def square(self, x):
    ...         return x
    >>> mg.register_backend("wrong", lambda: Wrong(np, "wrong", is_host=True))
    >>> try:
    ...     check_backend("wrong")
    ... except ConformanceError as error:
    ...     print(any("square" in line.name for line in error.report.lines if line.failures))
    True
    """

    def __init__(self, report: ConformanceReport) -> None:
        self.report = report
        failed = [line for line in report.lines if line.failures]
        super().__init__(
            f"backend {report.backend!r} does not conform:\n"
            f"{ConformanceReport(report.backend, failed)}"
        )
