"""A device without the hardware: NumPy behind arrays that refuse everything a GPU array refuses.

A `StrictArray` is never turned into a NumPy array, a number, a truth value or a sequence unless
the backend is asked to move it (`to_host`), and it calculates with its own kind and with Python
numbers only. What runs on this backend moves nothing in silence.
"""

import operator
import weakref

import numpy as np

from minigrad.engine.backend import PROTOCOL
from minigrad.engine.registry import get_backend

# The strict array around each array that owns its memory: what `base` of a view finds again.
_owners = weakref.WeakValueDictionary()


class StrictArray:
    """An array on an imaginary device."""

    __array_ufunc__ = None  # NumPy arrays leave mixed operators to us, and we refuse them
    __hash__ = None

    def __init__(self, array):
        self._array = array
        owner = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        self.base = None if owner is array else _owners.get(id(owner))
        if owner is array:
            _owners[id(array)] = self

    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)

    def __repr__(self):
        return f"<strict array {self.dtype}{list(self.shape)}>"


def _refuse(name):
    def method(self, *args, **kwargs):
        raise TypeError(f"a strict array has no {name}: nothing leaves the device unasked")

    return method


for _name in ("array", "float", "int", "complex", "bool", "index", "len", "iter", "contains"):
    setattr(StrictArray, f"__{_name}__", _refuse(f"__{_name}__"))
for _name in ("getitem", "setitem", "dlpack"):  # reading goes by the protocol
    setattr(StrictArray, f"__{_name}__", _refuse(f"__{_name}__"))


def _inside(value):
    """The NumPy form of an argument; anything foreign is refused."""
    if isinstance(value, StrictArray):
        return value._array
    if isinstance(value, (np.ndarray, np.generic)):
        raise TypeError(f"a strict backend was given a NumPy {type(value).__name__}")
    if isinstance(value, (list, tuple)):
        return type(value)(_inside(part) for part in value)
    return value


def _outside(value):
    """The result of a NumPy function as the device's own."""
    if isinstance(value, (list, tuple)):
        return [_outside(part) for part in value]
    array = np.asarray(value)
    known = _owners.get(id(array))  # an array has one wrapper
    return StrictArray(array) if known is None else known


def _operator(function):
    def method(self, other):
        return _outside(function(self._array, _inside(other)))

    def reflected(self, other):
        return _outside(function(_inside(other), self._array))

    return method, reflected


for _name in ("add", "sub", "mul", "truediv", "pow", "matmul"):
    _direct, _reflected = _operator(getattr(operator, _name))
    setattr(StrictArray, f"__{_name}__", _direct)
    setattr(StrictArray, f"__r{_name}__", _reflected)
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(StrictArray, f"__{_name}__", _operator(getattr(operator, _name))[0])


def _add_in_place(self, other):
    self._array += _inside(other)
    return self


StrictArray.__iadd__ = _add_in_place
StrictArray.__neg__ = lambda self: _outside(-self._array)


class StrictBackend:
    """The protocol on strict arrays: NumPy's own, wrapped name by name."""

    name = "strict"
    device = "strict:0"
    is_host = False
    array_type = StrictArray

    def __init__(self):
        self._host = get_backend("numpy")
        self.moved = 0  # how many arrays were moved to the host
        for names in (*PROTOCOL.values(), ("solve", "cholesky", "slogdet", "svd")):
            for name in names:
                if not hasattr(self, name):
                    setattr(self, name, self._wrapped(getattr(self._host, name)))

    @staticmethod
    def _wrapped(function):
        def call(*args, **kwargs):
            kwargs = {name: _inside(value) for name, value in kwargs.items()}
            return _outside(function(*_inside(args), **kwargs))

        return call

    def from_host(self, array):
        return StrictArray(np.array(array))

    def to_host(self, array):
        self.moved += 1
        return array._array.copy()

    def index_array(self, value):
        return StrictArray(np.array(value if isinstance(value, np.ndarray) else value._array))

    def synchronize(self):
        pass

    def quiet(self):
        return self._host.quiet()
