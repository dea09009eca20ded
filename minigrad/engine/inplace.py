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
from collections.abc import Iterable
from typing import Any

import numpy as np

from . import contents, deferred, lending
from .graph import Node, on_call, tick

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
        _listen()

    def forget_with(self, owner: Any) -> None:
        """Know of it for as long as its owner lives."""
        if self.owner is None:
            key = self.key

            def forget(_: Any) -> None:
                _memories.pop(key, None)
                _editable.discard(key)
                noted.discard(key)

            self.owner = weakref.ref(owner, forget)

    def note_before(self, owner: Any, backend: Any) -> None:
        """It is about to become editable, and a graph may have saved it."""
        global last_note
        last_note = now = tick()
        then = self.before[-1][1] if self.before else None
        if contents.is_known(then, owner, backend):
            self.before[-1] = now, then
            return
        self.before.append((now, contents.read_contents(owner, backend)))
        self.forget_with(owner)
        _memories[self.key] = self
        noted.add(self.key)
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
        noted.discard(self.key)

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

    __slots__ = ("backend", "link")

    def __init__(self, link: Any, backend: Any) -> None:
        self.link, self.backend = weakref.ref(link), backend

    def is_held(self) -> bool:
        """Whether the user has it."""
        link = self.link()
        return link is not None and _is_held(link, self.backend)


_FOREVER = "a writer that never goes away"

_memories: dict[int, _Memory] = {}  # by id of the owner
_editable: set[int] = set()  # the keys of those that have writers
noted: set[int] = set()  # the keys of those of which it is noted what they were before
last_note = 0  # the tick of the last such note, which counts for nodes that are older


# --- in and out ----------------------------------------------------------------------------


class _Loan(tuple[Any, ...]):
    """An array that was lent or borrowed, each part weakly.

    The user's array or, if it was borrowed, ours; the link behind it; the backend that borrowed.
    """

    __slots__ = ()
    __eq__, __hash__ = object.__eq__, object.__hash__  # arrays can't be compared

    def resolve(self) -> None:
        """If it isn't over, the user is a writer."""
        view, link, borrower = self[0](), self[1](), self[2]
        if (view is None and borrower is not None) or link is None:
            return
        if borrower is None:
            memory = _memory(lending.original(link))[1]
            writer = _Lent(link, _Lent.drop_writer)
            writer.memory = memory
            memory.add_writer(id(writer), writer)
        elif _is_held(link, borrower):
            owner, memory = _memory(view)
            held = _Borrowed(link, borrower)
            memory.forget_with(owner)
            memory.add_writer(id(held), held)


# The loans since the last op call. Most are over by then, and nothing is saved in between.
_loans: list[_Loan] = []


def lend(tensor: Any) -> Any:
    """The tensor's array for the user to read and write, and what is needed to notice that."""
    alone = lending.is_alone(tensor)  # before this function refers to the array
    array = tensor._data
    if isinstance(array, np.ndarray):
        view = link = lending.lend(array)
    elif (make := getattr(tensor.backend, "lend", None)) is not None:
        view, link = make(array)
    else:
        mark_editable(array, tensor.backend, alone)
        return array
    if not alone:
        _resolve_loans()
        owner, memory = _memory(array)
        if not memory.writers:
            memory.note_before(owner, tensor.backend)
    elif noted and (known := _memories.get(id(_owner(array)))) is not None:
        known.drop_before()
    _note_loan(view, link, None)
    return view


def borrow(array: Any, backend: Any) -> Any:
    """What a tensor holds if the user assigns this array: another one over the same memory."""
    on_host = isinstance(array, np.ndarray)
    if not on_host or array.base.__class__ is memoryview:
        for loan in reversed(_loans):  # a lent array comes back, as in x.data += 1
            if loan[0]() is array and loan[2] is None:
                ours = lending.original(loan[1]())
                if _layout(ours) == _layout(array):
                    return ours
    if on_host:
        view = link = lending.lend(array)
    elif (make := getattr(backend, "lend", None)) is not None:
        view, link = make(array)
    else:
        mark_editable(array, backend)
        return array
    _note_loan(view, link, backend)  # `resolve` sees whether the user keeps it
    return view


def mark_editable(array: Any, backend: Any, alone: bool = False) -> None:
    """From now on this array may be written to for as long as it lives."""
    owner, memory = _memory(array)
    if not memory.writers and not alone:
        memory.note_before(owner, backend)
    memory.forget_with(owner)
    memory.add_writer(0, _FOREVER)


def _note_loan(view: Any, link: Any, borrower: Any) -> None:
    _loans.append(_Loan((weakref.ref(view), weakref.ref(link), borrower)))
    _listen()
    if len(_loans) >= MOST_LOANS:
        _resolve_loans()


def _resolve_loans() -> None:
    """See which loans are over."""
    for loan in tuple(_loans):
        if loan[1]() is not None:
            loan.resolve()
        try:  # after `resolve`, as another thread may ask meanwhile
            _loans.remove(loan)
        except ValueError:
            continue  # another thread has removed it


def _is_held(link: Any, backend: Any) -> bool:
    return lending.held(link) if isinstance(link, np.ndarray) else backend.held(link)


def _memory(array: Any) -> tuple[Any, _Memory]:
    owner = _owner(array)
    return owner, _memories.get(id(owner)) or _Memory(id(owner))


def _owner(array: Any) -> Any:
    """The array whose memory this is a view of."""
    base = getattr(array, "base", None)
    if base is None:
        return array
    kind = type(array)
    while base is not None:
        if isinstance(base, kind):
            array = base
        base = getattr(base, "base", None)
    return array


def _layout(array: Any) -> Any:
    return array.shape, array.strides, array.dtype


# --- what graphs save ------------------------------------------------------------------------

_listens = False  # to op calls


def _listen() -> None:
    """There is an array to look for; this is called often."""
    global _listens
    if not _listens:
        _listens = True
        on_call.add(_note_saved)


def _rest() -> None:
    """There seems to be none any more."""
    global _listens
    _listens = False
    on_call.discard(_note_saved)
    if _editable or _loans:  # another thread may have found one meanwhile
        _listen()


def _note_saved(
    op: Any, node: Node | None, inputs: Any, output: Any, backend: Any, settings: Any
) -> None:
    """An op call saved arrays: note the contents of the editable ones among them."""
    if _loans:
        _resolve_loans()
    if not _editable:
        _rest()
    if node is None or not node.saved:
        return
    for array in node.saved:  # most own their memory, and a call is what costs here
        owner = array if getattr(array, "base", None) is None else _owner(array)
        if id(owner) in _editable:
            break
    else:
        return
    stamps = {
        id(owner): memory.now(owner, backend)
        for _, owner in _owners(node.saved)
        if (memory := _memories.get(id(owner))) is not None and memory.may_be_edited()
    }
    if stamps:
        node.saved = _Stamped(node.saved)
        node.saved.contents = stamps


def _owners(saved: Iterable[Any]) -> Iterable[tuple[int, Any]]:
    """The owners of saved arrays, each once, with the position of the first array of it.

    A scan saves several views of the same memory, and each look is a pass over all of it.
    """
    found: dict[int, tuple[int, Any]] = {}
    for i, array in enumerate(saved):
        owner = _owner(array)
        found.setdefault(id(owner), (i, owner))
    return found.values()


class _Stamped(tuple[Any, ...]):
    """What a node saved, and the contents of those arrays that were editable then, by owner."""

    contents: dict[int, Any]


def verify(node: Node) -> None:
    """Raise if an array that `node` saved has other contents now."""
    saved = node.saved or ()
    if saved.__class__ is tuple and not (noted and node.birth < last_note):
        return
    stamps = getattr(saved, "contents", {})
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
        differs = then is None or contents.differs(owner, then, node.backend)
        if differs is False:
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
        deferred.defer(differs, node.backend, RuntimeError(text))  # in no variable: see `defer`
