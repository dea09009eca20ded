"""Plans that serve again: one per function and kind of arguments, or the reason why there is none.

A plan is filed under all that it depends on: what its function reads from outside, the shapes and
dtypes of its tensors, and those numbers among its arguments that had to be constants of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from ..errors import Untraceable
from .determinism import NotDetermined
from .static_lookup import code_of

# Plans and the like that are remembered; beyond that the oldest is forgotten.
MOST = 1000


class Plan(Protocol):
    """What a cache holds."""

    reads: Any  # what its function read from outside, as something to compare
    pinned: Sequence[int]  # which of the numbers among the arguments are constants of it


class Call(Protocol):
    """What a plan is made for."""

    function: Any  # the user's
    name: str  # what errors call it

    @property
    def numbers(self) -> Sequence[float]:
        """The floats among the arguments of which a plan may take any value."""

    @property
    def facts(self) -> Any:
        """All that the plan depends on besides `outside()` and `numbers`."""

    def outside(self, again: bool = False) -> Any:
        """All that the function reads from outside, as something to compare; or `Untraceable`.

        `again` says that it may have changed since the call began.
        """

    def build(self, pinned: Sequence[int]) -> Any:
        """A plan; `pinned` says which numbers were constants of one for such a call."""


class PlanCache:
    """At most `MOST` plans, and reasons why there is none."""

    def __init__(self) -> None:
        self._plans: dict[Any, Any] = {}
        self._pinned: dict[Any, Sequence[int]] = {}
        # Reasons that may not hold for ever: how many calls to wait, and how many after that.
        self._waiting: dict[Any, tuple[str, int, int]] = {}

    def get(self, key: Any, numbers: Sequence[float] = ()) -> Any:
        """The plan for a key and for numbers, or the reason why there is none; None if unknown."""
        return self._plans.get(self._full_key(key, numbers))

    def put(
        self, key: Any, plan: Any, numbers: Sequence[float] = (), pinned: Sequence[int] = ()
    ) -> None:
        """Keep a plan in which the `pinned` ones of the numbers are constants."""
        if pinned:
            _remember(self._pinned, key, pinned)
        _remember(self._plans, self._full_key(key, numbers), plan)

    def pinned(self, key: Any) -> Sequence[int]:
        """Which numbers are constants of the plan for a key."""
        return self._pinned.get(key, ())

    def _full_key(self, key: Any, numbers: Sequence[float]) -> Any:
        pinned = self._pinned.get(key, ()) if numbers else ()
        return key, *[repr(numbers[i]) for i in pinned]  # 0.0 and -0.0 differ

    def plan_for(self, call: Call) -> Any:
        """The plan for a call, made now or for an earlier one; or the reason why there is none."""
        try:
            key = call.outside(), call.facts
        except Untraceable as unknown:
            return str(unknown)  # as it is now: what it reads may be another thing at the next call
        numbers = call.numbers
        plan = self._plans.get(self._full_key(key, numbers) if numbers else (key,))
        return self._make(call, key) if plan is None else plan

    def _make(self, call: Call, key: Any) -> Any:
        """A plan made now, or the reason why there is none.

        A refusal that may not hold for ever counts for 1, 2, 4, 8 and so on calls; then the
        compiler tries again.
        """
        waiting = code_of(call.function), call.facts
        reason, left, wait = self._waiting.get(waiting, ("", 0, 1))
        if left:
            self._waiting[waiting] = reason, left - 1, wait
            return reason
        pinned = self.pinned(key)
        plan: Any
        try:
            plan = call.build(pinned)
            plan.reads = call.outside(again=True)  # the function may have made what it needed
        except NotDetermined as refusal:
            self._waiting.pop(waiting, None)
            _remember(self._waiting, waiting, (str(refusal), wait, 2 * wait))
            return str(refusal)
        except Untraceable as refusal:
            plan = str(refusal)
        except Exception as error:
            error.add_note(
                f"This happened while {call.name} was compiled. MINIGRAD_FUSED=0 runs it without."
            )
            raise
        else:
            key, pinned = (plan.reads, call.facts), plan.pinned
        self._waiting.pop(waiting, None)
        self.put(key, plan, call.numbers, pinned)
        return plan

    def clear(self) -> None:
        """Forget everything."""
        self._plans.clear()
        self._pinned.clear()
        self._waiting.clear()

    @contextmanager
    def emptied(self) -> Iterator[None]:
        """Within this context the cache starts empty; then it is as it was."""
        before = self._plans, self._pinned, self._waiting
        self._plans, self._pinned, self._waiting = {}, {}, {}
        try:
            yield
        finally:
            self._plans, self._pinned, self._waiting = before


def _remember(memory: dict[Any, Any], key: Any, value: Any) -> None:
    """Keep a value, and not too many of them."""
    while len(memory) >= MOST and key not in memory:
        memory.pop(next(iter(memory), None), None)
    memory[key] = value
