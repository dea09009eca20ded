"""Who listens to op calls: a block, what is started in a copy of its context, and no one else."""

import asyncio
import contextvars
import threading

import numpy as np
import pytest

import minigrad as mg
from minigrad.engine.graph import Occasion, on_call, on_gradients
from minigrad.fusion import dispatch_counts, reset_dispatch_counts

NAN = float("nan")


def in_thread(function):
    """What a function returns, or raises, in a thread of its own."""
    found = []

    def run():
        try:
            found.append(function())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def nan_forwards():
    return mg.log(mg.tensor(-1.0)).item()


def nan_backwards():
    x = mg.tensor(0.0, requires_grad=True)
    (mg.sqrt(x) * 0).backward()
    return x.grad.item()


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("fault", [nan_forwards, nan_backwards])
def test_anomaly_mode_is_on_where_it_was_switched_on(fault):
    with mg.detect_anomaly():
        assert np.isnan(in_thread(fault))  # a thread beside the block
        context = contextvars.copy_context()
        assert isinstance(in_thread(lambda: context.run(fault)), FloatingPointError)
        with pytest.raises(FloatingPointError):
            fault()
    assert np.isnan(context.run(fault))  # the block has ended
    assert np.isnan(fault())
    assert not on_gradients


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_block_in_one_thread_leaves_another_its_own():
    entered, left = threading.Event(), threading.Event()

    def other():
        with mg.detect_anomaly():
            entered.set()
            assert left.wait(10)
            nan_forwards()

    found = []
    thread = threading.Thread(target=lambda: found.append(in_thread(other)))
    with mg.detect_anomaly():
        thread.start()
        assert entered.wait(10)
    assert np.isnan(nan_forwards())
    left.set()
    thread.join()
    assert isinstance(found[0], FloatingPointError)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_tasks():
    async def beside(begun, ended):
        begun.set()
        await ended.wait()
        return nan_forwards()

    async def within():
        return nan_forwards()

    async def main():
        begun, ended = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(beside(begun, ended))
        await begun.wait()
        with mg.detect_anomaly():
            ended.set()
            assert np.isnan(await task)
            with pytest.raises(FloatingPointError):
                await asyncio.create_task(within())

    asyncio.run(main())


def test_a_kernel_runs_beside_anomaly_mode_and_not_within(backend):
    def cell(p, x, h):
        h = mg.tanh(x + h)
        return h, h

    def reasons():
        reset_dispatch_counts()
        with mg.use_backend(backend):
            mg.scan(cell, None, mg.ones((2, 2, 3)), mg.zeros((2, 3)))
        ((_, _, _, reason),) = dispatch_counts()
        return reason

    usual = reasons()
    with mg.detect_anomaly():
        assert in_thread(reasons) == usual
        if usual == "":
            assert reasons() == "anomaly mode looks at every op"
    assert reasons() == usual


def test_every_listener_hears_of_an_op_though_others_go_meanwhile():
    heard = []

    def first(*_):
        heard.append("first")
        on_call.discard(second)

    def second(*_):
        heard.append("second")

    on_call.add(first)
    on_call.add(second)
    on_call.add(second)  # once is enough
    try:
        with on_call.within(lambda *_: heard.append("third")):
            mg.ones(1) * 2
            assert heard[-1] == "third" and heard.count("second") <= 1
    finally:
        on_call.discard(first)
    assert second not in [listener.function for listener in on_call]


def test_listeners_come_and_go_in_many_threads():
    occasion, heard, rounds = Occasion("test"), [[] for _ in range(8)], 200

    def run(i):
        for n in range(rounds):
            with occasion.within(heard[i].append):
                occasion.tell((i, n))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == [[(i, n) for n in range(rounds)] for i in range(8)]
    assert not occasion


def test_blocks_that_overlap_as_generators_make_them():
    occasion, heard = Occasion("test"), []

    def block(name):
        with occasion.within(lambda what: heard.append((name, what))):
            yield

    a, b = block("a"), block("b")
    next(a), next(b)
    occasion.tell(1)
    a.close()
    occasion.tell(2)
    b.close()
    occasion.tell(3)
    assert heard == [("a", 1), ("b", 1), ("b", 2)]


def test_an_error_within_leaves_no_listener():
    before = list(on_call), list(on_gradients)
    with pytest.raises(ZeroDivisionError), mg.detect_anomaly():
        raise ZeroDivisionError
    assert (list(on_call), list(on_gradients)) == before
