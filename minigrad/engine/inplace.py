"""The in-place guard: editing an array that a graph has saved is an error, not a wrong gradient.

Arrays leave minigrad's hands only through `tensor.data`, DLPack and the like, and come into them by
assignment to `tensor.data`. As long as the user can write to one, it is *editable*: an op that
saves it notes its contents, and a backward pass that reads it compares. What a graph had saved
before is noted when the array becomes editable. Code that hands out nothing pays nothing, and
`p.data -= ...` between two steps next to nothing: the array is editable during this line, and no
graph has it then.

A device computes and compares checksums in place of contents, and nothing waits for them: an edit
is reported when numbers come to the host, see `deferred.py`.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable, Sized
from typing import Any

import numpy as np

from . import contents, deferred, lending
from .graph import Node, Occasion, on_call, on_read, tick

MOST_KEPT = 16  # contents of one array, from the last times when it became editable
MOST_LOANS = 64  # arrays lent since the last op call, before those that are over are dropped


class _Memory:
    """What is known of an array that owns its memory and is, or was, editable.

    Attributes
    ----------
    writers : the ways in which the user can write to it, by number.
    before : what its contents were when it became editable, with the tick of that moment. A node
        that is older and noted nothing saved these, as nothing was written in between.
    latest : its contents when an op last saved it, while it is editable.
    owner : the array, weakly, if this is forgotten with it and not with the last writer.
    """

    __slots__ = ("before", "key", "latest", "owner", "writers")

    def __init__(self, key: int) -> None:
        self.key = key
        self.writers: dict[int, Any] = {}
        self.before: list[tuple[int, Any]] = []
        self.latest: Any = None
        self.owner: weakref.ref[Any] | None = None

    def add_writer(self, number: int, writer: Any) -> None:
        """Another way to write to it."""
        self.writers[number] = writer
        _memories[self.key] = self
        _editable.add(self.key)
        _calls.listen()

    def forget_with(self, owner: Any) -> None:
        """Know of it for as long as its owner lives."""
        if self.owner is None:
            key = self.key

            def forget(_: Any) -> None:
                _memories.pop(key, None)
                _editable.discard(key)
                _noted.discard(key)

            self.owner = weakref.ref(owner, forget)

    def note_before(self, owner: Any, backend: Any) -> None:
        """It is about to become editable, and a graph may have saved it."""
        then = self.before[-1][1] if self.before else None
        if contents.is_known(then, owner, backend):
            self.before[-1] = tick(), then
            return
        self.before.append((tick(), contents.read_contents(owner, backend)))
        self.forget_with(owner)
        _memories[self.key] = self
        _noted.add(self.key)
        _reads.listen()
        if len(self.before) <= MOST_KEPT:
            return
        pairs = itertools.pairwise(self.before)  # on a device they haven't been compared yet
        changed = [one for one, after in pairs if not contents.equal(one[1], after[1], backend)]
        self.before = [*changed, self.before[-1]]
        if len(self.before) > MOST_KEPT:  # what older nodes saved has been written to ever since
            _, (when, _), *rest = self.before
            self.before = [(when, None), *rest]

    def drop_before(self) -> None:
        """No graph has it."""
        self.before.clear()
        _noted.discard(self.key)

    def drop_writer(self, number: int) -> None:
        """A way to write to it is gone."""
        self.writers.pop(number, None)
        if self.writers or _memories.get(self.key) is not self:
            return
        self.latest = None
        _editable.discard(self.key)
        if not self.before:
            del _memories[self.key]

    def may_be_edited(self) -> bool:
        """Whether the user can write to it still."""
        for number, writer in tuple(self.writers.items()):
            if isinstance(writer, _Borrowed) and not writer.is_held():
                self.drop_writer(number)
        return bool(self.writers)

    def now(self, owner: Any, backend: Any) -> Any:
        """Its contents; those of last time if they are the same, so that there is one copy."""
        if not contents.is_known(self.latest, owner, backend):
            self.latest = contents.read_contents(owner, backend)
        return self.latest


class _Lent(weakref.ref):
    """A user who was lent an array: a writer for as long as a view of it lives.

    It refers to the link behind these views, see `lending.py`.
    """

    __slots__ = ("memory",)

    memory: _Memory

    def drop_writer(self) -> None:
        """Called when the link has gone."""
        self.memory.drop_writer(id(self))


class _Borrowed:
    """A user who assigned an array: a writer for as long as the user has it."""

    def __init__(self, link: Any, backend: Any) -> None:
        self.link = weakref.ref(link)
        self.held = getattr(backend, "held", lending.held)

    def is_held(self) -> bool:
        """Whether the user has it."""
        link = self.link()
        return link is not None and self.held(link)


_FOREVER = "a writer that never goes away"

_memories: dict[int, _Memory] = {}  # by id of the owner
_editable: set[int] = set()  # the keys of those that have writers
_noted: set[int] = set()  # the keys of those of which it is noted what they were before
# By node, then by id of the owner: what it was when the node saved it, of those editable then.
_stamps: weakref.WeakKeyDictionary[Node, dict[int, Any]] = weakref.WeakKeyDictionary()


# --- in and out ----------------------------------------------------------------------------


class _Loan:
    """An array that was lent or borrowed: weakly, what was made of it, and the link behind that."""

    __slots__ = ("array", "backend", "borrowed", "link", "view")

    def __init__(self, array: Any, view: Any, link: Any, backend: Any, borrowed: bool) -> None:
        ref = weakref.ref
        self.array, self.view, self.link = ref(array), ref(view), ref(link)
        self.backend, self.borrowed = backend, borrowed

    def resolve(self) -> None:
        """If it isn't over, the user is a writer."""
        link, ours = self.link(), self.view() if self.borrowed else self.array()
        if link is None or ours is None:
            return
        owner, memory = _memory(ours)
        if not self.borrowed:
            writer = _Lent(link, _Lent.drop_writer)
            writer.memory = memory
            memory.add_writer(id(writer), writer)
        elif (held := _Borrowed(link, self.backend)).is_held():
            memory.forget_with(owner)
            memory.add_writer(id(held), held)


# The loans since the last op call. Most are over by then, and nothing is saved in between.
_loans: list[_Loan] = []


def lend(tensor: Any) -> Any:
    """The tensor's array for the user to read and write, and what is needed to notice that."""
    alone = lending.is_alone(tensor)  # before this function refers to the array
    array, backend = tensor._data, tensor.backend
    make = _lender(array, backend)
    if make is None:
        mark_editable(array, backend, alone)
        return array
    if not alone:
        _resolve_loans()
        owner, memory = _memory(array)
        if not memory.writers:
            memory.note_before(owner, backend)
    elif _noted:
        _memory(array)[1].drop_before()
    view, link = make(array)
    _note_loan(_Loan(array, view, link, backend, False))
    return view


def borrow(array: Any, backend: Any) -> Any:
    """What a tensor holds if the user assigns this array: another one over the same memory."""
    for loan in reversed(_loans):  # a lent array comes back, as in x.data += 1
        if loan.view() is array and not loan.borrowed:
            ours = loan.array()
            if ours is not None and _layout(ours) == _layout(array):
                return ours
    make = _lender(array, backend)
    if make is None:
        mark_editable(array, backend)
        return array
    view, link = make(array)
    _note_loan(_Loan(array, view, link, backend, True))  # `resolve` sees whether the user keeps it
    return view


def mark_editable(array: Any, backend: Any, alone: bool = False) -> None:
    """From now on this array may be written to for as long as it lives."""
    owner, memory = _memory(array)
    if not memory.writers and not alone:
        memory.note_before(owner, backend)
    memory.forget_with(owner)
    memory.add_writer(0, _FOREVER)


def _note_loan(loan: _Loan) -> None:
    _loans.append(loan)
    _calls.listen()
    if len(_loans) >= MOST_LOANS:
        _resolve_loans()


def _resolve_loans() -> None:
    """See which loans are over."""
    for loan in tuple(_loans):
        if loan.link() is not None:
            loan.resolve()
        try:  # after `resolve`, as another thread may ask meanwhile
            _loans.remove(loan)
        except ValueError:
            continue  # another thread has removed it


def _lender(array: Any, backend: Any) -> Any:
    return lending.lend if isinstance(array, np.ndarray) else getattr(backend, "lend", None)


def _memory(array: Any) -> tuple[Any, _Memory]:
    owner = _owner(array)
    return owner, _memories.get(id(owner)) or _Memory(id(owner))


def _owner(array: Any) -> Any:
    """The array whose memory this is a view of."""
    kind, base = type(array), getattr(array, "base", None)
    while base is not None:
        if isinstance(base, kind):
            array = base
        base = getattr(base, "base", None)
    return array


def _layout(array: Any) -> Any:
    return array.shape, array.strides, array.dtype


# --- what graphs save ------------------------------------------------------------------------


def _note_saved(
    op: Any, node: Node | None, inputs: Any, output: Any, backend: Any, settings: Any
) -> None:
    """An op call saved arrays: note the contents of the editable ones among them."""
    if _loans:
        _resolve_loans()
    if not _editable:
        _calls.rest()
    if node is None or not node.saved:
        return
    if not any(id(_owner(array)) in _editable for array in node.saved):
        return
    stamps = {
        id(owner): memory.now(owner, backend)
        for _, owner in _owners(node.saved)
        if (memory := _memories.get(id(owner))) is not None and memory.may_be_edited()
    }
    if stamps:
        _stamps[node] = stamps
        _reads.listen()


def _owners(saved: Iterable[Any]) -> Iterable[tuple[int, Any]]:
    """The owners of saved arrays, each once, with the position of the first array of it.

    A scan saves several views of the same memory, and each look is a pass over all of it.
    """
    found: dict[int, tuple[int, Any]] = {}
    for i, array in enumerate(saved):
        owner = _owner(array)
        found.setdefault(id(owner), (i, owner))
    return found.values()


def _verify(node: Node) -> None:
    """Raise if an array that `node` saved has other contents now."""
    stamps = _stamps.get(node, {})
    if not _noted and not stamps:
        if not _stamps:
            _reads.rest()
        return
    saved = node.saved or ()
    for i, owner in _owners(saved):
        if id(owner) in stamps:
            then = stamps[id(owner)]
        elif (memory := _memories.get(id(owner))) is not None:
            notes = [note for note in memory.before if note[0] > node.birth]
            if not notes:
                continue
            then = notes[0][1]
        else:
            continue
        # Of a scan, views of an input stand among what its kernel kept, too.
        places = [j for j, array in enumerate(saved) if j == i or _owner(array) is owner]
        named = ((name, j) for j in places if (name := node.op.saved_name(node, j)))
        what, place = next(named, (f"input number {i}", i))
        text = (
            f"an array was edited in place after {node.op.name} saved it for the backward "
            f"pass: its {what}, shape {saved[place].shape}. The gradient would be wrong. Make the "
            "edit before the forward pass or after backward(), or edit a copy "
            "(x.numpy(), or x.data.copy())."
        )
        differs = then is None or contents.differs(owner, then, node.backend)
        deferred.defer(differs, node.backend, RuntimeError(text))  # in no variable: see `defer`


class _Listening:
    """Listens to an occasion while there is a reason to."""

    def __init__(self, occasion: Occasion, hear: Callable[..., None], *reasons: Sized) -> None:
        self.occasion, self.hear, self.reasons = occasion, hear, reasons
        self.listens = False

    def listen(self) -> None:
        """There is a reason to listen; this is called often."""
        if not self.listens:
            self.listens = True
            self.occasion.add(self.hear)

    def rest(self) -> None:
        """There seems to be no reason any more."""
        self.listens = False
        self.occasion.discard(self.hear)
        if any(map(len, self.reasons)):  # another thread may have found a reason meanwhile
            self.listen()


_calls = _Listening(on_call, _note_saved, _editable, _loans)
_reads = _Listening(on_read, _verify, _noted, _stamps)
