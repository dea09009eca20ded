"""Forwards and derivatives that are one expression stand in an op's text as they are."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad.engine.op_expressions import expression, method_call, parameters

TWO = 2


def branching(g, y):
    return g * y if y is not None else g


def in_steps(g, y):
    slope = 1 - y
    return -g * slope


def text_of(function, **names):
    return expression(function, {name: name for name in parameters(function)} | names)


@pytest.mark.parametrize(
    "function, text",
    [
        (lambda g: g, "g"),
        (lambda g: -g, "-g"),
        (lambda g, b: g * b, "g * b"),
        (lambda g, y: g * (1 - y * y), "g * (1 - y * y)"),
        (lambda g, y, b: -g * y / b, "-g * y / b"),
        (lambda g, y, b: g * (y / b), "g * (y / b)"),
        (lambda g, y: g - (y - 1), "g - (y - 1)"),
        (lambda g, y: (g - y) - 1, "g - y - 1"),
        (lambda g, y: -(g + y), "-(g + y)"),
        (lambda g, y: g * -y, "g * -y"),
        (lambda g, y: g + -0.5, "g + -0.5"),
        (lambda g, y: 0.1 / y + 2 * g, "0.1 / y + 2 * g"),
        (in_steps, "-g * (1 - y)"),
    ],
)
def test_arithmetic_is_written_as_it_is_computed(function, text):
    assert text_of(function) == text
    given = [np.random.default_rng(0).normal(size=3) for _ in parameters(function)]
    found = eval(text, dict(zip(parameters(function), given, strict=True)))
    np.testing.assert_array_equal(found, function(*given))


def twice_used(g, y):
    slope = 1 - y
    return g * slope * slope


def editing(g, y):
    g *= y
    return g


@pytest.mark.parametrize(
    "function",
    [
        branching,
        twice_used,
        editing,
        lambda g: g * TWO,
        lambda g: mg.exp(g),
        lambda g: g.shape,
        lambda g: g @ g,
        lambda g: g**2,
        lambda g: 2,
        lambda g: None,
        lambda g: (g, g),
        lambda g, y: g * y if y else g,
        lambda g: g * True,
        lambda g: [g for _ in range(2)],
        (lambda factor: lambda g: g * factor)(3.0),
    ],
)
def test_other_functions_are_called(function):
    assert text_of(function) is None


def test_numbers_without_a_literal_are_not_written():
    def infinite(g):
        return g * 1e999

    assert math.isinf(infinite(1)) and text_of(infinite) is None


@pytest.mark.parametrize(
    "forward, found",
    [
        (lambda xp, x: xp.tanh(x), ("tanh", "x")),
        (lambda xp, x: xp.maximum(x, 0), ("maximum", "x, 0")),
        (lambda xp, x, *, axis: xp.sum(x, axis=axis), ("sum", "x, axis=axis")),
        (lambda xp, x: xp.exp(xp.negative(x)), None),
        (lambda xp, x: xp.exp(x) + 1, None),
        (lambda xp, x: xp.exp(x[0]), None),
        (lambda xp, x: xp.exp(np.negative(x)), None),
        (lambda xp, x, *, axis: xp.sum(x, axis=axis or 0), None),
        (lambda xp, x: xp.name, None),
        (lambda xp, x: x, None),
    ],
)
def test_a_forward_that_is_a_method_of_the_backend(forward, found):
    names = [
        *parameters(forward)[1:],
        *(["axis"] if "axis" in forward.__code__.co_varnames else []),
    ]
    assert method_call(forward, {name: name for name in names}) == found


def test_ops_that_are_not_minigrads_are_called():
    @mg.op
    def doubled(xp, x):
        return xp.add(x, x)

    doubled.vjp(x=lambda g: 2 * g)
    assert "y = forward(backend, x_data)" in doubled.source
    assert "part = vjp_x(g)" in doubled.source


ONE_BY_ONE = [name for name, op in mg.OPS.items() if any(op.derivatives.values()) and op.trusted]


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_the_written_derivatives_are_those_declared(name):
    op = mg.OPS[name]
    lines = [line.strip() for line in op.source.splitlines()]
    written = [line for line in lines if line.startswith("part = ") and "sweep." not in line]
    functions = [fn for fn in op.derivatives.values() if fn is not None]
    for line, fn in zip(written, functions, strict=True):
        if "vjp_" in line:
            continue
        given = {n: np.random.default_rng(i).normal(size=4) for i, n in enumerate(parameters(fn))}
        np.testing.assert_array_equal(eval(line.removeprefix("part = "), dict(given)), fn(**given))
