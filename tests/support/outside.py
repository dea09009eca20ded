"""What a cell may read from outside, one kind each: how to read a number there, and to change it.

`KEYED` are the kinds that are part of a kernel's key: the new number counts at the next call.
`REFUSED` are those that are refused, with the reason. Their names are the rows of the table in
minigrad/compiler/README.md.
"""
# ruff: noqa: NPY002 (NumPy's old random numbers are among what cells may read)

import collections
import contextvars
import dataclasses
import enum
import functools
import itertools
import os
import random
import threading
import time
import types
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

import minigrad as mg

KEYED = {}
REFUSED = {}

FACTOR = 1.0
MODULE = types.ModuleType("settings_of_a_test")
MODULE.k = 1.0
INNER = types.ModuleType("inner_of_a_test")
MODULE.inner = INNER


def kind(name, reason=None):
    """Declare a kind: `make()` gives a cell and `change(number)`, which sets what it reads."""

    def add(make):
        (KEYED if reason is None else REFUSED).setdefault(name, []).append((make, reason))
        return make

    return add


# --- part of the key -------------------------------------------------------------------------


@kind("globals")
def a_global():
    return lambda p, x, h: (h * FACTOR, h), lambda k: globals().update(FACTOR=k)


@kind("globals")
def a_global_of_a_global():
    exec_globals = {"mg": mg, "k": 1.0}
    exec(
        "def helper(h):\n    return h * k\ndef cell(p, x, h):\n    return helper(h), h",
        exec_globals,
    )
    return exec_globals["cell"], lambda k: exec_globals.update(k=k)


@kind("variables of an enclosing function")
def a_closure():
    factor = 1.0

    def change(k):
        nonlocal factor
        factor = k

    return lambda p, x, h: (h * factor, h), change


@kind("variables of an enclosing function")
def a_closure_two_levels_up():
    factor = 1.0

    def middle():
        return lambda h: (lambda: h * factor)()

    def change(k):
        nonlocal factor
        factor = k

    return lambda p, x, h: (middle()(h), h), change


@kind("defaults")
def a_default():
    def cell(p, x, h, factor=1.0):
        return h * factor, h

    return cell, lambda k: setattr(cell, "__defaults__", (k,))


@kind("defaults")
def a_keyword_default():
    def cell(p, x, h, *, factor=1.0):
        return h * factor, h

    return cell, lambda k: setattr(cell, "__kwdefaults__", {"factor": k})


@kind("defaults")
def a_mutable_default():
    def cell(p, x, h, factor=[1.0]):  # noqa: B006
        return h * factor[0], h

    return cell, lambda k: cell.__defaults__[0].__setitem__(0, k)


@kind("attributes of modules")
def a_module():
    return lambda p, x, h: (h * MODULE.k, h), lambda k: setattr(MODULE, "k", k)


@kind("attributes of modules")
def a_module_in_a_module():
    INNER.k = 1.0
    return lambda p, x, h: (h * MODULE.inner.k, h), lambda k: setattr(INNER, "k", k)


@kind("attributes of modules")
def a_function_that_is_replaced():
    MODULE.f = lambda h: h * 1.0
    cell = lambda p, x, h: (MODULE.f(h), h)  # noqa: E731
    return cell, lambda k: setattr(MODULE, "f", lambda h: h * k)


@kind("attributes of classes")
def a_class():
    class Config:
        k = 1.0

    return lambda p, x, h: (h * Config.k, h), lambda k: setattr(Config, "k", k)


@kind("attributes of classes")
def a_class_by_another_name():
    class Config:
        k = 1.0

    def cell(p, x, h):
        c = Config
        return h * getattr(c, "k"), h  # noqa: B009

    return cell, lambda k: setattr(Config, "k", k)


@kind("attributes of classes")
def a_base_class():
    class Base:
        k = 1.0

    class Config(Base):
        pass

    return lambda p, x, h: (h * Config.k, h), lambda k: setattr(Base, "k", k)


@kind("attributes of classes")
def a_class_method():
    class Config:
        k = 1.0

        @classmethod
        def get(cls):
            return cls.k

    return lambda p, x, h: (h * Config.get(), h), lambda k: setattr(Config, "k", k)


@kind("attributes of classes")
def a_static_method():
    class Config:
        k = 1.0

        @staticmethod
        def scaled(h):
            return h * Config.k

    return lambda p, x, h: (Config.scaled(h), h), lambda k: setattr(Config, "k", k)


@kind("attributes of objects")
def an_object():
    settings = SimpleNamespace(k=1.0)
    return lambda p, x, h: (h * settings.k, h), lambda k: setattr(settings, "k", k)


@kind("attributes of objects")
def an_object_of_a_class():
    class Settings:
        k = 1.0

    settings = Settings()
    return lambda p, x, h: (h * settings.k, h), lambda k: setattr(settings, "k", k)


@kind("attributes of objects")
def an_attribute_of_the_object_s_class():
    class Settings:
        k = 1.0

    settings = Settings()
    return lambda p, x, h: (h * settings.k, h), lambda k: setattr(Settings, "k", k)


@kind("attributes of objects")
def an_object_in_an_object():
    outer = SimpleNamespace(inner=SimpleNamespace(k=1.0))

    def change(k):
        outer.inner = SimpleNamespace(k=k)

    return lambda p, x, h: (h * outer.inner.k, h), change


@kind("attributes of objects")
def an_object_as_a_whole():
    settings = SimpleNamespace(k=1.0)
    return lambda p, x, h: (h * vars(settings)["k"], h), lambda k: setattr(settings, "k", k)


@kind("slots, properties and other descriptors")
def slots():
    class Settings:
        __slots__ = ("k",)

    settings = Settings()
    settings.k = 1.0
    return lambda p, x, h: (h * settings.k, h), lambda k: setattr(settings, "k", k)


@kind("slots, properties and other descriptors")
def a_property():
    class Settings:
        def __init__(self):
            self._k = 1.0

        @property
        def k(self):
            return self._k

    settings = Settings()
    return lambda p, x, h: (h * settings.k, h), lambda k: setattr(settings, "_k", k)


@kind("slots, properties and other descriptors")
def a_descriptor():
    class Number:
        def __init__(self):
            self.k = 1.0

        def __get__(self, instance, owner):
            return self.k

    class Settings:
        number = Number()

    settings = Settings()
    change = lambda k: setattr(Settings.__dict__["number"], "k", k)  # noqa: E731
    return lambda p, x, h: (h * settings.number, h), change


@kind("slots, properties and other descriptors")
def a_cached_property():
    class Settings:
        def __init__(self):
            self.base = 1.0

        @functools.cached_property
        def k(self):
            return self.base

    settings = Settings()

    def change(k):
        settings.base = k
        vars(settings).pop("k", None)

    return lambda p, x, h: (h * settings.k, h), change


@kind("slots, properties and other descriptors")
def attributes_made_by_getattr():
    class Settings:
        def __init__(self):
            self._table = {"k": 1.0}

        def __getattr__(self, name):
            return self._table[name]

    settings = Settings()
    return lambda p, x, h: (h * settings.k, h), lambda k: settings._table.update(k=k)


@kind("methods and callable objects")
def a_method():
    class Cell:
        k = 1.0

        def step(self, p, x, h):
            return h * self.k, h

    cell = Cell()
    return cell.step, lambda k: setattr(cell, "k", k)


@kind("methods and callable objects")
def a_method_that_calls_another():
    class Base:
        def factor(self):
            return self.k

    class Cell(Base):
        k = 1.0

        def factor(self):
            return super().factor()

        def __call__(self, p, x, h):
            return (lambda: h * self.factor())(), h

    cell = Cell()
    return cell, lambda k: setattr(Cell, "k", k)


@kind("methods and callable objects")
def a_method_that_is_replaced():
    class Cell:
        def factor(self):
            return 1.0

        def __call__(self, p, x, h):
            return h * self.factor(), h

    return Cell(), lambda k: setattr(Cell, "factor", lambda self: k)


@kind("functions that it calls, and their attributes")
def an_attribute_of_a_function():
    def helper(h):
        return h * helper.k

    helper.k = 1.0
    return lambda p, x, h: (helper(h), h), lambda k: setattr(helper, "k", k)


@kind("functions that it calls, and their attributes")
def a_helper_s_helper_that_is_replaced():
    helpers = SimpleNamespace(f=lambda h: h * 1.0)

    def middle(h):
        return helpers.f(h)

    return lambda p, x, h: (middle(h), h), lambda k: setattr(helpers, "f", lambda h: h * k)


@kind("functions that it calls, and their attributes")
def a_function_s_code():
    def helper(h):
        return h * 1.0

    def change(k):
        exec_globals = {}
        exec(f"def f(h):\n    return h * {k!r}", exec_globals)
        helper.__code__ = exec_globals["f"].__code__

    return lambda p, x, h: (helper(h), h), change


@kind("functions that it calls, and their attributes")
def a_wrapped_function():
    factor = 1.0

    def change(k):
        nonlocal factor
        factor = k

    @functools.wraps(mg.tanh)
    def wrapped(h):
        return h * factor

    return lambda p, x, h: (wrapped(h), h), change


@kind("functions that it calls, and their attributes")
def a_fused_function():
    @mg.fuse
    def scaled(h):
        return h * FACTOR

    return lambda p, x, h: (scaled(h), h), lambda k: globals().update(FACTOR=k)


@kind("functions that it calls, and their attributes")
def an_annotation():
    def helper(h):
        return h

    def cell(p, x, h):
        return helper(h) * helper.__annotations__["h"], h

    return cell, lambda k: helper.__annotations__.update(h=k)


@kind("functions that it calls, and their attributes")
def a_function_s_text():
    def helper(h):
        return h

    return lambda p, x, h: (h * float(helper.__doc__), h), lambda k: setattr(
        helper, "__doc__", str(k)
    )


@kind("attributes of classes")
def a_class_s_own_name():
    class Named:
        pass

    return lambda p, x, h: (h * float(Named.__name__), h), lambda k: setattr(
        Named, "__name__", str(k)
    )


@kind("attributes of classes")
def a_class_s_text_by_name():
    class Documented:
        pass

    return lambda p, x, h: (h * float(getattr(Documented, "__doc__", "")), h), lambda k: setattr(
        Documented, "__doc__", str(k)
    )


@kind("partials")
def a_partial():
    table = [1.0]

    def scaled(table, p, x, h):
        return h * table[0], h

    return functools.partial(scaled, table), lambda k: table.__setitem__(0, k)


@kind("partials")
def a_partial_with_names():
    settings = SimpleNamespace(k=1.0)

    def scaled(p, x, h, settings):
        return h * settings.k, h

    return functools.partial(scaled, settings=settings), lambda k: setattr(settings, "k", k)


@kind("lists, dicts, sets and their like")
def the_length_of_a_list():
    entries = [0]

    def change(k):
        entries[:] = [0] * int(k)

    return lambda p, x, h: (h * len(entries), h), change


@kind("lists, dicts, sets and their like")
def an_entry_of_a_dict():
    table = {"deep": [{"k": 1.0}]}
    change = lambda k: table["deep"][0].update(k=k)  # noqa: E731
    return lambda p, x, h: (h * table["deep"][0]["k"], h), change


@kind("lists, dicts, sets and their like")
def a_dict_of_another_class():
    table = collections.defaultdict(float, k=1.0)
    return lambda p, x, h: (h * table["k"], h), lambda k: table.update(k=k)


@kind("lists, dicts, sets and their like")
def a_set():
    table = {1.0}

    def change(k):
        table.clear()
        table.add(k)

    return lambda p, x, h: (h * max(table), h), change


@kind("lists, dicts, sets and their like")
def a_deque():
    table = collections.deque([1.0], maxlen=1)
    return lambda p, x, h: (h * table[-1], h), table.append


@kind("lists, dicts, sets and their like")
def the_order_of_a_dict():
    table = {"a": 1.0, "b": 3.0}

    def change(k):
        table.clear()
        table.update({"b": 3.0, "a": 1.0} if k == 3 else {"a": k, "b": 0.0})

    return lambda p, x, h: (h * next(iter(table.values())), h), change


@kind("small arrays")
def an_array():
    table = np.ones(3)
    return lambda p, x, h: (h * float(table[1]), h), lambda k: table.__setitem__(1, k)


@kind("small arrays")
def a_view_of_an_array():
    table = np.ones((2, 2))
    view = table.T[1:]
    return lambda p, x, h: (h * view.max().item(), h), lambda k: table.fill(k)


@kind("data classes, named tuples and enums")
def a_data_class():
    @dataclasses.dataclass
    class Settings:
        k: float = 1.0

    settings = Settings()
    return lambda p, x, h: (h * settings.k, h), lambda k: setattr(settings, "k", k)


class Pair(NamedTuple):
    a: float
    b: float


@kind("data classes, named tuples and enums")
def a_named_tuple():
    pair = Pair(0.0, 1.0)

    def change(k):
        nonlocal pair
        pair = pair._replace(b=k)

    return lambda p, x, h: (h * pair.b, h), change


@kind("data classes, named tuples and enums")
def an_enum():
    class Mode(enum.Enum):
        slow = 1.0
        fast = 3.0
        odd = 2.0

    mode = Mode.slow

    def change(k):
        nonlocal mode
        mode = Mode(k)

    return lambda p, x, h: (h * (mode.value if mode is not Mode.fast else 3.0), h), change


@kind("data classes, named tuples and enums")
def an_object_by_its_identity():
    class Sentinel:
        pass

    marks = {1.0: Sentinel(), 3.0: Sentinel(), 2.0: Sentinel()}
    mark = marks[1.0]

    def change(k):
        nonlocal mark
        mark = marks[k]

    def cell(p, x, h):
        return h * next(k for k, each in marks.items() if each is mark), h

    return cell, change


@kind("context variables")
def a_context_variable():
    factor = contextvars.ContextVar("factor", default=1.0)
    return lambda p, x, h: (h * factor.get(), h), factor.set


@kind("environment variables")
def the_environment():
    def change(k):
        os.environ["MINIGRAD_TEST_FACTOR"] = str(k)

    change(1.0)
    return lambda p, x, h: (h * float(os.environ["MINIGRAD_TEST_FACTOR"]), h), change


# --- refused ---------------------------------------------------------------------------------

ITERATES = "an iterator, which goes on at each step"
WRITES = "and a kernel would not"
DRAWS = "it draws random numbers; pass them as arguments"
CALLS = "which may give something else at each step"


@kind("iterators and generators", ITERATES)
def a_counter():
    numbers = itertools.count()
    return lambda p, x, h: (h * next(numbers), h)


@kind("iterators and generators", ITERATES)
def a_generator():
    numbers = (float(i) for i in itertools.count())
    return lambda p, x, h: (h * next(numbers), h)


@kind("iterators and generators", ITERATES)
def a_generator_in_an_object():
    holder = SimpleNamespace(numbers=iter(range(100)))
    return lambda p, x, h: (h * next(holder.numbers), h)


@kind("writing to what is outside", WRITES)
def a_global_that_is_set():
    def cell(p, x, h):
        global FACTOR
        FACTOR += 1
        return h * FACTOR, h

    return cell


@kind("writing to what is outside", WRITES)
def a_variable_that_is_set():
    steps = 0

    def cell(p, x, h):
        nonlocal steps
        steps += 1
        return h, h

    return cell


@kind("writing to what is outside", WRITES)
def a_list_that_grows():
    seen = []

    def cell(p, x, h):
        seen.append(1)
        return h * len(seen), h

    return cell


@kind("writing to what is outside", WRITES)
def an_entry_that_is_set():
    table = {"n": 0}

    def cell(p, x, h):
        table["n"] += 1
        return h, h

    return cell


@kind("writing to what is outside", WRITES)
def an_attribute_that_is_set():
    class Cell:
        n = 0

        def __call__(self, p, x, h):
            self.n += 1
            return h * self.n, h

    return Cell()


@kind("writing to what is outside", WRITES)
def a_list_that_a_helper_changes():
    table = [0]

    def count(table):
        table[0] += 1

    def cell(p, x, h):
        count(table)
        return h, h

    return cell


@kind("writing to what is outside", WRITES)
def printing():
    def cell(p, x, h):
        print(end="")
        return h, h

    return cell


RNG = np.random.default_rng(0)


@kind("writing to what is outside", WRITES)
def an_object_that_counts_its_reads():
    class Counter:
        def __init__(self):
            self.n = 0

        def __getitem__(self, name):
            self.n += 1
            return self.n

    counter = Counter()
    return lambda p, x, h: (h * counter["k"], h)


@kind("iterators and generators", ITERATES)
def an_iterator_of_a_class():
    class Numbers:
        n = 0

        def __next__(self):
            self.n += 1
            return self.n

    numbers = Numbers()
    return lambda p, x, h: (h * next(numbers), h)


@kind("random numbers", DRAWS)
def a_generator_of_its_own():
    return lambda p, x, h: (h * RNG.random(), h)


@kind("random numbers", DRAWS)
def numpys_random_numbers():
    return lambda p, x, h: (h * np.random.rand(), h)


@kind("random numbers", DRAWS)
def pythons_random_numbers():
    return lambda p, x, h: (h * random.uniform(0, 1), h)


@kind("random numbers", DRAWS)
def a_generator_of_pythons():
    rng = random.Random(0)
    return lambda p, x, h: (h * rng.random(), h)


@kind("random numbers", DRAWS)
def a_bound_draw():
    draw = np.random.default_rng(0).normal
    return lambda p, x, h: (h * draw(), h)


@kind("random numbers", DRAWS)
def minigrads_random_numbers():
    return lambda p, x, h: (h * mg.rand(()).item(), h)


@kind("random numbers", DRAWS)
def dropout():
    return lambda p, x, h: (mg.dropout(h, 0.5), h)


@kind("time, files and the system", CALLS)
def the_time():
    return lambda p, x, h: (h * time.time(), h)


@kind("time, files and the system", CALLS)
def the_system():
    return lambda p, x, h: (h * len(os.getcwd()), h)


@kind("time, files and the system", CALLS)
def a_file():
    return lambda p, x, h: (h * len(Path(__file__).read_text()), h)


@kind("remembered results (lru_cache)", "can't be seen")
def a_remembered_result():
    @functools.lru_cache
    def factor():
        return FACTOR

    return lambda p, x, h: (h * factor(), h)


@kind("other objects that can't be compared", "can't be seen")
def a_lock():
    lock = threading.Lock()

    def cell(p, x, h):
        with lock:
            return h, h

    return cell


@kind("tensors from outside", "it uses a tensor that is not among its arguments")
def a_tensor():
    factor = mg.ones(5)
    return lambda p, x, h: (h * factor, h)


@kind("tensors from outside", "it uses a tensor that is not among its arguments")
def a_number_in_a_tensor():
    factor = mg.tensor(2.0)
    return lambda p, x, h: (h * factor.item(), h)


@kind("large arrays", "are compared at each call; pass it as an argument")
def a_large_array():
    table = np.ones(1000)
    return lambda p, x, h: (h * float(table[0]), h)
