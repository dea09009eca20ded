"""L-BFGS: steps along the gradient as curved by the last few of its changes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..engine.registry import active
from ..engine.tensor import Tensor
from ..utils.arguments import check_positive, is_number
from .groups import options_of
from .line_search import Point, strong_wolfe
from .optimizer import Optimizer
from .running import running_dtype

__all__ = ["LBFGS"]

SMALLEST = 1e-10  # a pair of changes whose product is below says nothing of the curvature


class LBFGS(Optimizer):
    """L-BFGS (Liu and Nocedal 1989) for losses without noise: full batches, few parameters.

    A `step(closure)` makes up to `max_iter` iterations and evaluates the closure several times.
    There is one group of parameters, all of one dtype on one backend. A parameter without a
    gradient counts as one whose gradient is zero.

    Parameters
    ----------
    lr : how far an iteration goes in its direction; with a line search, where this begins.
    max_iter : how many iterations a step makes.
    max_eval : how many evaluations a step makes; without it 1.25 * max_iter.
    tolerance_grad : a step ends where no element of the gradient is larger.
    tolerance_change : a step ends where neither a parameter nor the loss changes by more.
    history_size : how many changes of the gradient are kept; each takes as much memory as all
        parameters, twice.
    line_search_fn : None, or "strong_wolfe": each iteration looks for a length of its step that
        satisfies the strong Wolfe conditions. It also goes around places where the loss is NaN or
        infinite.

    >>> import minigrad as mg
    >>> w = mg.tensor([-1.5, 2.0], dtype="float64", requires_grad=True)
    >>> optimizer = mg.optim.LBFGS([w], max_iter=100, line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2  # Rosenbrock's valley
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure).item()  # the loss at the start
    12.5
    >>> w.numpy().round(3)
    array([1., 1.])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if max_eval is None:
            max_eval = check_positive("LBFGS", "max_iter", max_iter) * 5 // 4
        super().__init__(
            params,
            lr=lr,
            max_iter=max_iter,
            max_eval=max_eval,
            tolerance_grad=tolerance_grad,
            tolerance_change=tolerance_change,
            history_size=history_size,
            line_search_fn=line_search_fn,
        )

    def _checked(self, given: Any) -> dict[str, Any]:
        if self.param_groups:
            raise ValueError(
                "LBFGS trains one group of parameters, since its steps follow from all of them "
                "together; give one list, as in LBFGS([*body.parameters(), *head.parameters()])"
            )
        return super()._checked(given)

    def _check_options(self, options: dict[str, Any]) -> None:
        if options["line_search_fn"] not in [None, "strong_wolfe"]:
            raise ValueError(
                "LBFGS: line_search_fn is None or 'strong_wolfe'; got "
                f"{options['line_search_fn']!r:.40}"
            )

    def _check_gradients(self) -> None:
        super()._check_gradients()
        kinds = {(p.dtype.name, p.backend.name) for p in self._params}
        if len(kinds) > 1:
            raise RuntimeError(
                "LBFGS: all parameters must be of one dtype and on one backend; there are "
                f"{', '.join(f'{dtype} on {backend!r}' for dtype, backend in sorted(kinds))}. "
                "Convert the model, as in model.double() or model.to('numpy')"
            )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make up to `max_iter` iterations; returns what the closure returned at the start.

        `closure` is called several times, with gradients on: it clears the gradients, computes the
        loss, calls `backward()` and returns the loss, one number.

        Raises TypeError if there is no closure, or it returns something else; RuntimeError if no
        parameter has a gradient then. Whatever is raised, also by the closure, the parameters and
        the running values are as before the step.

        >>> w = mg.tensor([3.0], requires_grad=True)
        >>> optimizer = mg.optim.LBFGS([w])
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = ((w - 2.0) ** 2).sum()
        ...     loss.backward()
        ...     return loss
        >>> loss = optimizer.step(closure)
        >>> w.detach(), loss.item()
        (tensor([2.]), 1.0)
        """
        if closure is None:
            raise TypeError(
                "LBFGS.step(closure) evaluates the loss several times, so it takes a function "
                "that does it:\n    def closure():\n        optimizer.zero_grad()\n"
                "        loss = ...\n        loss.backward()\n        return loss\n"
                "    optimizer.step(closure)"
            )
        params = self._params
        before = [p._data for p in params]
        try:
            found = self._call(closure)
            loss = _number(found)
            if all(p.grad is None and not p.requires_grad for p in params):
                return found
            self._check_gradients()
            with active(params[0].backend):
                start = Point(0.0, loss, 0.0, self._gradient())
                state = self._iterate(closure, start)
        except BaseException:
            self._put(before)
            raise
        self.state[params[0]] = state
        self._made_for[params[0]] = params[0].dtype
        return found

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict()` returned, for the same parameters in the same order.

        The run then continues bit by bit as it would have. If anything doesn't fit, nothing
        changes, and a ValueError lists it all.

        >>> old = mg.optim.LBFGS([mg.ones(2, requires_grad=True)], lr=0.5)
        >>> new = mg.optim.LBFGS([mg.ones(2, requires_grad=True)])
        >>> new.load_state_dict(old.state_dict())
        >>> new.param_groups[0]["lr"]
        0.5
        """
        saved = state.get("parameters", ()) if isinstance(state, Mapping) else ()
        shapes = [tuple(like["shape"]) for like in saved]
        ours = [p.shape for p in self._params]
        if len(shapes) == len(ours) and shapes != ours:  # the running values belong to all at once
            raise ValueError(
                "this state does not fit LBFGS; nothing was loaded\n"
                f"  parameters: here {ours}, in the state {shapes}"
            )
        super().load_state_dict(state)

    def _iterate(self, closure: Callable[[], Any], now: Point) -> dict[str, Any]:
        """Move the parameters from where the loss and its gradient are those of `now`.

        Returns the running values after that. The arrays in them are not written to again.
        """
        params, xp = self._params, self._params[0].backend
        options = options_of(self.param_groups[0])
        state = {"func_evals": 0, "n_iter": 0, **self.state.get(params[0], {})}
        state["func_evals"] += 1
        evals, iterations, most = 1, 0, options["max_iter"]
        is_done = _largest(xp, now.g) <= options["tolerance_grad"]
        while iterations < most and not is_done:
            iterations += 1
            state["n_iter"] += 1
            first = state["n_iter"] == 1
            state |= _remember(xp, state, now.g, options["history_size"])
            state["d"] = d = _direction(xp, state, now.g)
            state["prev_flat_grad"], state["prev_loss"] = now.g, now.loss
            if first:
                total = float(xp.to_host(xp.sum(xp.abs(now.g))))
                state["t"] = min(1.0, 1.0 / total) * options["lr"]
            else:
                state["t"] = options["lr"]
            now = now._replace(t=0.0, slope=_dot(xp, now.g, d))
            if now.slope > -options["tolerance_change"]:
                break
            reach, from_here = _largest(xp, d), [p._data for p in params]
            look = functools.partial(self._look, closure, from_here, d)
            loss, count = now.loss, 0
            if options["line_search_fn"]:
                now, count = strong_wolfe(
                    look, now, state["t"], reach, options["tolerance_change"],
                    options["max_eval"] - evals,
                )  # fmt: skip
                state["t"] = now.t
                self._go(from_here, now.t, d)
            elif iterations < most:
                now, count = look(state["t"]), 1
            else:
                self._go(from_here, state["t"], d)
            evals += count
            state["func_evals"] += count
            is_done = (
                evals >= options["max_eval"]
                or (iterations < most and _largest(xp, now.g) <= options["tolerance_grad"])
                or reach * abs(state["t"]) <= options["tolerance_change"]
                or abs(now.loss - loss) < options["tolerance_change"]
            )
        return state

    def _look(self, closure: Callable[[], Any], from_here: list[Any], d: Any, t: float) -> Point:
        """Go t times the direction from where the parameters were, and evaluate the loss there."""
        self._go(from_here, t, d)
        loss = _number(self._call(closure))
        self._check_gradients()
        g = self._gradient()
        return Point(t, loss, _dot(self._params[0].backend, g, d), g)

    def _gradient(self) -> Any:
        """All gradients in one array, (P,); zeros for parameters that have none."""
        parts = []
        for p in self._params:
            xp, dtype = p.backend, running_dtype(p.dtype)
            parts.append(
                xp.zeros((p.size,), dtype)
                if p.grad is None
                else xp.astype(xp.reshape(p.grad._data, (p.size,)), dtype)
            )
        return xp.concatenate(parts)

    def _go(self, from_here: list[Any], t: float, d: Any) -> None:
        """Give each parameter what it was plus t times its part of the direction."""
        arrays, start = [], 0
        for p, x in zip(self._params, from_here, strict=True):
            xp = p.backend
            move = t * xp.reshape(xp.getitem(d, slice(start, start + p.size)), p.shape)
            arrays.append(xp.asarray(xp.astype(x + move, p.dtype)))
            start += p.size
        self._put(arrays)

    def _put(self, arrays: list[Any]) -> None:
        for p, array in zip(self._params, arrays, strict=True):
            p._data = array


def _number(loss: Any) -> float:
    """The loss that a closure returned, if it is one."""
    if isinstance(loss, Tensor) and loss.size == 1 and loss.dtype.kind == "f":
        return float(loss.detach().reshape(()).item())
    if is_number(loss) and not isinstance(loss, Tensor):
        return float(loss)
    if loss is None:
        raise TypeError("LBFGS: the closure returned None; end it with `return loss`")
    if isinstance(loss, Tensor):
        raise TypeError(
            f"LBFGS: the closure must return the loss, one number; got a tensor {loss.shape} of "
            f"{loss.dtype}. Return its sum or mean, as in loss.mean()"
        )
    raise TypeError(
        f"LBFGS: the closure must return the loss, one number; got {type(loss).__name__} "
        f"{loss!r:.40}"
    )


def _remember(xp: Any, state: dict[str, Any], g: Any, size: int) -> dict[str, Any]:
    """The last changes of the gradient and of the parameters, after the newest has come in."""
    if state["n_iter"] == 1:
        return {"old_dirs": [], "old_stps": [], "ro": [], "H_diag": 1.0}
    y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
    product = _dot(xp, y, s)
    if not product > SMALLEST:
        return {}
    new = {"old_dirs": y, "old_stps": s, "ro": 1.0 / product}
    kept = {name: [*state[name], value][-size:] for name, value in new.items()}
    return {**kept, "H_diag": product / _dot(xp, y, y)}


def _direction(xp: Any, state: dict[str, Any], g: Any) -> Any:
    """The negative gradient, curved by the changes so far: the two loops of Nocedal (1980)."""
    pairs = list(zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True))
    q, shares = -g, []
    for y, s, ro in reversed(pairs):
        share = xp.matmul(s, q) * ro
        shares.append(share)
        q = q - share * y
    q = q * state["H_diag"]
    for y, s, ro in pairs:
        q = q + (shares.pop() - xp.matmul(y, q) * ro) * s
    return q


def _dot(xp: Any, a: Any, b: Any) -> float:
    return float(xp.to_host(xp.matmul(a, b)))


def _largest(xp: Any, x: Any) -> float:
    """The largest size of an element; 0 if there is none."""
    return float(xp.to_host(xp.max(xp.abs(x)))) if x.shape[0] else 0.0
