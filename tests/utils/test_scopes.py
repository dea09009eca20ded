"""What holds within a block holds in decorated functions of every kind, at each of their steps."""

import asyncio
import inspect
import threading
from contextlib import contextmanager

import numpy as np
import pytest

import minigrad as mg


def on_strict():
    return mg.current_backend().name == "strict" == mg.ones(1).backend.name


def watching():
    """Whether anomaly mode is on, forwards and backwards."""
    x = mg.tensor(0.0, requires_grad=True, backend="numpy")
    y, found = mg.sqrt(x) * 0, []
    for raising in (lambda: mg.log(mg.tensor(-1.0, backend="numpy")), y.backward):
        try:
            with np.errstate(all="ignore"):
                raising()
        except FloatingPointError:
            found.append(True)
        else:
            found.append(False)
    assert found[0] is found[1]
    return found[0]


SCOPES = {
    "no_grad()": (mg.no_grad(), lambda: not mg.is_grad_enabled()),
    "no_grad": (mg.no_grad, lambda: not mg.is_grad_enabled()),
    "enable_grad()": (mg.enable_grad(), lambda: mg.is_grad_enabled()),
    "use_backend": (lambda f: mg.use_backend("strict")(f), on_strict),
    "detect_anomaly()": (mg.detect_anomaly(), watching),
    "detect_anomaly": (mg.detect_anomaly, watching),
}


@pytest.fixture(params=SCOPES)
def scope(request):
    """A decorator, and whether it is in force; the caller's state is the same at the end."""
    decorate, within = SCOPES[request.param]
    with mg.use_backend("numpy"), mg.no_grad() if "enable" in request.param else mg.enable_grad():
        assert not within()
        yield decorate, within
        assert not within()


def test_functions(scope):
    decorate, within = scope

    @decorate
    def f(a, *, b=2):
        """Text."""
        if a == "wrong":
            raise KeyError
        return a, b, within()

    assert f(1, b=3) == (1, 3, True) and not within()
    assert (f.__name__, f.__doc__) == ("f", "Text.")
    with pytest.raises(KeyError):
        f("wrong")


def test_generators(scope):
    decorate, within = scope
    seen = []

    @decorate
    def steps():
        try:
            got = yield within()
            try:
                yield got, within()
            except KeyError:
                yield within()
            return within()
        finally:
            seen.append(within())

    assert inspect.isgeneratorfunction(steps)
    gen = steps()
    assert next(gen) is True and not within()
    other = steps()
    assert next(other) is True and not within()
    assert gen.send("sent") == ("sent", True) and not within()
    assert gen.throw(KeyError()) is True and not within()
    with pytest.raises(StopIteration) as end:
        next(gen)
    assert end.value.value is True and seen == [True] and not within()
    other.close()
    assert seen == [True, True] and not within()
    assert list(decorate(lambda: (within() for _ in range(2)))()) == [True, True]


def test_async_functions_and_generators(scope):
    decorate, within = scope

    @decorate
    async def later():
        first = within()
        await asyncio.sleep(0)
        return first, within()

    @decorate
    async def steps():
        for _ in range(2):
            await asyncio.sleep(0)
            yield within()

    async def beside(n):
        for _ in range(n):
            assert not within()
            await asyncio.sleep(0)

    async def main():
        pair, _ = await asyncio.gather(later(), beside(3))
        assert pair == (True, True) and not within()
        async for inside in steps():
            assert inside and not within()
            await beside(2)
        gen = steps()
        assert await anext(gen)
        await gen.aclose()
        assert not within()

    assert inspect.iscoroutinefunction(later) and inspect.isasyncgenfunction(steps)
    asyncio.run(main())


def test_methods(scope):
    decorate, within = scope

    class Model:
        @decorate
        def method(self):
            return within()

        @decorate
        @staticmethod
        def outside():
            return within()

        @decorate
        @classmethod
        def made(cls):
            return within()

    model = Model()
    assert model.method() and model.outside() and Model.made() and not within()


def test_a_class_is_refused(scope):
    class Model:
        pass

    with pytest.raises(TypeError, match="got the class Model: decorate its methods instead"):
        scope[0](Model)


def test_blocks_that_are_entered_again():
    """Nested, one after the other, and in several threads at once."""
    for block, within in [
        (mg.use_backend("strict"), on_strict),
        (mg.detect_anomaly(), watching),
        (mg.no_grad(), lambda: not mg.is_grad_enabled()),
    ]:
        with mg.use_backend("numpy"):
            for _ in range(2):
                with block, block:
                    assert within()
                assert not within()
            barrier, found = threading.Barrier(2), []

            def work(first, block=block, within=within, barrier=barrier, found=found):
                with mg.use_backend("numpy"):
                    if not first:
                        barrier.wait()
                    with block:
                        barrier.wait() if first else None
                        barrier.wait()
                        found.append(within())
                        barrier.wait() if first else None
                    barrier.wait() if not first else None
                    found.append(not within())

            threads = [threading.Thread(target=work, args=(first,)) for first in (True, False)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert found == [True] * 4


def test_use_backend_as_a_block():
    with mg.use_backend("strict") as backend:
        assert backend is mg.current_backend() and backend.name == "strict"
    with pytest.raises(ZeroDivisionError), mg.use_backend("strict"):
        raise ZeroDivisionError
    assert mg.current_backend().name != "strict"


def test_use_backend_without_its_name():
    with pytest.raises(TypeError, match="a backend is given by its name, such as 'numpy'"):

        @mg.use_backend
        def f():
            pass


def test_the_device_of_a_backend_is_current_at_each_step(register):
    register("with a device")
    backend, current = mg.get_backend("with a device"), []

    @contextmanager
    def active():
        current.append(1)
        try:
            yield
        finally:
            current.pop()

    backend.active = active

    @mg.use_backend("with a device")
    def steps():
        yield len(current)
        with mg.use_backend("numpy"):
            yield len(current)
        yield len(current)

    for inside in steps():
        assert inside == 1 and not current


def test_record_is_no_decorator():
    with pytest.raises(TypeError, match=r"write `with mg.record\(\) as trace:` around the call"):

        @mg.record()
        def f():
            pass
