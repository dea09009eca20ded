"""Grad mode in blocks and in functions of every kind: off inside, and the caller's left alone."""

import asyncio
import contextvars
import functools
import gc
import inspect
import sys
import threading
import warnings
import weakref
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg

MODES = [mg.no_grad, mg.enable_grad]
SPELLINGS = {
    "no_grad()": (mg.no_grad(), False),
    "no_grad": (mg.no_grad, False),
    "enable_grad()": (mg.enable_grad(), True),
    "enable_grad": (mg.enable_grad, True),
}
mode = mg.is_grad_enabled


@pytest.fixture(params=SPELLINGS)
def spelling(request):
    """A decorator and the mode it gives."""
    return SPELLINGS[request.param]


@pytest.fixture(params=[True, False], ids=["caller on", "caller off"])
def caller(request):
    """The caller's mode, which must be the same at the end."""
    with mg.enable_grad() if request.param else mg.no_grad():
        yield request.param
        assert mode() is request.param


# --- functions of every kind ---------------------------------------------------------------------


def test_a_function(spelling, caller):
    decorate, wanted = spelling

    @decorate
    def f(a, *, b=2):
        """Text."""
        return a, b, mode()

    assert f(1, b=3) == (1, 3, wanted) and mode() is caller
    assert (f.__name__, f.__doc__) == ("f", "Text.")


def test_an_error_leaves_the_mode_alone(spelling, caller):
    @spelling[0]
    def f():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        f()
    assert mode() is caller


def test_a_generator_at_every_step(spelling, caller):
    decorate, wanted = spelling

    @decorate
    def steps(n):
        seen = []
        for _ in range(n):
            try:
                seen.append((yield mode()))
            except KeyError as error:
                seen.append(error.args[0])
            assert mode() is wanted
        return seen

    assert inspect.isgeneratorfunction(steps)
    gen = steps(3)
    assert next(gen) is wanted and mode() is caller
    assert gen.send("sent") is wanted and mode() is caller
    assert gen.throw(KeyError("thrown")) is wanted and mode() is caller
    with pytest.raises(StopIteration) as end:
        next(gen)
    assert end.value.value == ["sent", "thrown", None] and mode() is caller
    assert list(steps(2)) == [wanted, wanted]


def test_closing_a_generator(spelling, caller):
    decorate, wanted = spelling
    seen = []

    @decorate
    def steps():
        try:
            yield
        finally:
            seen.append(mode())

    gen = steps()
    next(gen)
    gen.close()
    assert seen == [wanted] and mode() is caller
    gen = steps()
    next(gen)
    del gen
    gc.collect()
    assert seen == [wanted] * 2 and mode() is caller
    gen = steps()
    gen.close()  # before it began
    assert seen == [wanted] * 2

    @decorate
    def stubborn():
        try:
            yield
        except GeneratorExit:
            seen.append("no")
            yield

    gen = stubborn()
    next(gen)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        gen.close()
    assert seen[-1] == "no" and mode() is caller


def test_a_generator_that_raises(spelling, caller):
    @spelling[0]
    def steps():
        yield 1
        raise ZeroDivisionError

    gen = steps()
    next(gen)
    with pytest.raises(ZeroDivisionError):
        next(gen)
    assert mode() is caller and list(gen) == []
    gen = steps()
    next(gen)
    with pytest.raises(KeyError):
        gen.throw(KeyError("not caught"))
    assert mode() is caller


def test_an_error_thrown_into_a_generator_is_not_kept():
    class Large(Exception):
        pass

    @mg.no_grad()
    def steps():
        with suppress(Large):
            yield
        yield

    gen = steps()
    next(gen)
    error = Large()
    kept = weakref.ref(error)
    gen.throw(error)
    del error
    gc.collect()
    assert kept() is None


def test_generators_that_delegate(caller):
    @mg.no_grad()
    def inner():
        got = yield mode()
        return got, mode()

    @mg.enable_grad
    def outer():
        first = yield mode()
        result = yield from inner()
        yield first, result, mode()

    gen = outer()
    assert next(gen) is True and mode() is caller
    assert gen.send("a") is False and mode() is caller
    assert gen.send("b") == ("a", ("b", False), True) and mode() is caller


def test_a_mode_of_its_own_survives_a_stop(caller):
    """Between two steps the caller's mode holds, and afterwards the block goes on."""

    @mg.no_grad
    def steps():
        with mg.enable_grad():
            yield mode()
            yield mode()
        yield mode()

    gen = steps()
    found = []
    for value in gen:
        assert mode() is caller
        found.append(value)
    assert found == [True, True, False]


def test_many_generators_in_turns(caller):
    @mg.no_grad
    def off():
        while True:
            yield mode()

    @mg.enable_grad
    def on():
        while True:
            yield mode()

    gens = [off(), on(), off(), on()]
    for _ in range(3):
        for i, gen in enumerate(gens):
            assert next(gen) is (i % 2 == 1) and mode() is caller


def test_generators_that_are_not_written_as_functions(spelling, caller):
    decorate, wanted = spelling

    class Steps:
        def __call__(self, n):
            for _ in range(n):
                yield mode()

    def twice(n):
        yield from (mode() for _ in range(n))

    makers = [
        decorate(Steps()),
        decorate(functools.partial(twice, 2)),
        decorate(lambda n=2: (mode() for _ in range(n))),
        decorate(lambda n=2: twice(n)),
    ]
    for i, make in enumerate(makers):
        gen = make(2) if i == 0 else make()
        assert next(gen) is wanted and mode() is caller
        assert list(gen) == [wanted]


def test_a_generator_that_only_passes_through_is_left_alone():
    def steps():
        while True:
            yield mode()

    started = steps()
    next(started)
    assert mg.no_grad()(lambda x: x)(started) is started


def test_an_async_function(spelling, caller):
    decorate, wanted = spelling
    between = []

    class Pause:
        def __await__(self):
            between.append(mode())
            got = yield
            return got, mode()

    @decorate
    async def later(x):
        first = mode()
        await asyncio.sleep(0)
        return x, first, mode()

    @decorate
    async def by_hand():
        return await Pause()

    assert inspect.iscoroutinefunction(later)
    assert asyncio.run(later(1)) == (1, wanted, wanted) and mode() is caller
    steps = by_hand()
    assert steps.send(None) is None and mode() is caller
    with pytest.raises(StopIteration) as end:
        steps.send("sent")
    assert end.value.value == ("sent", wanted) and between == [wanted] and mode() is caller
    result = asyncio.run(mg.no_grad()(lambda: later(2))())  # a function that returns a coroutine
    assert result == (2, wanted, wanted)


def test_an_async_function_that_is_cancelled(caller):
    seen = []

    @mg.no_grad()
    async def waits():
        try:
            await asyncio.sleep(60)
        finally:
            seen.append(mode())

    async def main():
        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return mode()

    assert asyncio.run(main()) is caller and seen == [False]


def test_async_functions_in_turns():
    @mg.no_grad()
    async def off():
        for _ in range(3):
            assert mode() is False
            await asyncio.sleep(0)

    async def on():
        for _ in range(3):
            assert mode() is True
            await asyncio.sleep(0)

    async def main():
        await asyncio.gather(off(), on(), off(), on())
        for coroutine in (off(), on()):
            await coroutine
        return mode()

    assert asyncio.run(main()) is True


def test_an_async_generator(spelling, caller):
    decorate, wanted = spelling
    seen = []

    @decorate
    async def steps():
        try:
            got = yield mode()
            await asyncio.sleep(0)
            try:
                yield got, mode()
            except KeyError:
                yield "caught", mode()
            yield mode()
        finally:
            seen.append(mode())

    async def main():
        gen = steps()
        assert await anext(gen) is wanted and mode() is caller
        assert await gen.asend("sent") == ("sent", wanted) and mode() is caller
        assert await gen.athrow(KeyError()) == ("caught", wanted) and mode() is caller
        await gen.aclose()
        assert seen == [wanted] and mode() is caller
        found = []
        async for value in steps():
            assert mode() is caller
            found.append(value)
        assert found == [wanted, (None, wanted), wanted] and seen == [wanted] * 2
        assert await anext(decorate(lambda: steps())()) is wanted
        gen = steps()
        await anext(gen)
        with pytest.raises(ZeroDivisionError):
            await gen.athrow(ZeroDivisionError())

    assert inspect.isasyncgenfunction(steps)
    asyncio.run(main())


def test_methods_of_every_kind(spelling, caller):
    decorate, wanted = spelling

    class Model:
        @decorate
        def method(self):
            return self, mode()

        @decorate
        @staticmethod
        def outside(x):
            return x, mode()

        @staticmethod
        @decorate
        def inside(x):
            return x, mode()

        @decorate
        @classmethod
        def made(cls):
            return cls, mode()

        @property
        @decorate
        def value(self):
            return mode()

        @decorate
        def steps(self):
            yield self, mode()

        @decorate
        def __call__(self):
            return self, mode()

    model = Model()
    assert model.method() == (model, wanted) and model() == (model, wanted)
    assert model.outside(1) == Model.outside(1) == model.inside(1) == (1, wanted)
    assert model.made() == (Model, wanted) and model.value is wanted
    assert list(model.steps()) == [(model, wanted)]


def test_with_other_decorators(caller):
    @contextmanager
    @mg.no_grad()
    def block():
        seen.append(mode())
        yield
        seen.append(mode())

    seen = []
    with block():
        assert mode() is caller
    assert seen == [False, False]

    @mg.no_grad
    @functools.lru_cache
    def cached(x):
        return mode()

    assert cached(1) is False


@pytest.mark.parametrize("kind", MODES)
def test_what_is_no_function(kind):
    class Model:
        pass

    with pytest.raises(TypeError, match="a decorator of functions; got the class Model: decorate"):
        kind()(Model)
    with pytest.raises(TypeError, match=rf"^{kind.__name__}\(\) is a context .* got int 3"):
        kind(3)
    with pytest.raises(TypeError, match="got property"):
        kind()(property(lambda self: 1))


# --- blocks --------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3), max_size=8))
def test_any_nesting_of_few_objects(path):
    """Objects that are entered again while they are entered, in any order."""
    shared = [mg.no_grad(), mg.enable_grad(), mg.no_grad(), mg.enable_grad()]

    def enter(rest):
        before = mode()
        if rest:
            with shared[rest[0]]:
                assert mode() is (rest[0] % 2 == 1)
                enter(rest[1:])
                assert mode() is (rest[0] % 2 == 1)
        assert mode() is before

    enter(path)


def test_one_object_in_several_threads():
    shared, barrier, found = mg.no_grad(), threading.Barrier(4), []

    def work(i):
        for _ in range(20):
            barrier.wait(10)
            with shared:
                barrier.wait(10)
                with shared if i % 2 else mg.enable_grad():
                    barrier.wait(10)
                found.append(mode())
            found.append(mode())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(False) == found.count(True) == 80
    assert mode() and not shared._entered


def test_one_object_in_several_tasks():
    shared = mg.no_grad()

    async def work(turns):
        with shared:
            for _ in range(turns):
                await asyncio.sleep(0)
                assert not mode()
        assert mode()

    async def main():
        await asyncio.gather(work(3), work(1), work(2))

    asyncio.run(main())
    assert mode() and not shared._entered


def test_a_block_that_ends_in_another_context():
    """As that of an unfinished asynchronous generator may: there is nothing to put back."""
    block = mg.no_grad()
    contextvars.copy_context().run(block.__enter__)
    assert mode()
    block.__exit__(None, None, None)
    assert mode()


def test_a_generator_that_runs_in_several_threads():
    @mg.no_grad()
    def steps():
        while True:
            yield mode()

    gen, found = steps(), []
    for _ in range(3):
        thread = threading.Thread(target=lambda: found.extend((next(gen), mode())))
        thread.start()
        thread.join()
        found.append(next(gen))
    gen.close()
    assert found == [False, True, False] * 3 and mode()


def test_a_recursive_generator():
    @mg.no_grad
    def count(n):
        if n:
            yield mode()
            yield from count(n - 1)

    assert list(count(sys.getrecursionlimit() // 100)) == [False] * (sys.getrecursionlimit() // 100)


def test_a_coroutine_that_is_never_awaited_says_so():
    @mg.no_grad()
    async def later():
        pass

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        later()
        gc.collect()
    assert [str(w.message) for w in found if "never awaited" in str(w.message)]


# --- graphs --------------------------------------------------------------------------------------


def test_graphs_of_each_kind(backend):
    w = mg.tensor([1.0, 2.0], requires_grad=True)

    @mg.no_grad()
    def batches():
        for _ in range(2):
            yield w * 2

    @mg.no_grad()
    async def later():
        return w * 2

    @mg.no_grad()
    async def stream():
        yield w * 2

    async def first():
        async for y in stream():
            return y, w * y

    for y in batches():
        assert not y.requires_grad and (w * y).requires_grad
    assert not asyncio.run(later()).requires_grad
    y, z = asyncio.run(first())
    assert not y.requires_grad and z.requires_grad
