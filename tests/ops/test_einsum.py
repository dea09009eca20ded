"""Einstein's sum of any terms: sizes of 0 and 1, repeated indices, ellipses, implicit outputs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg


@st.composite
def sums(draw):
    """Subscripts, and the shapes of the operands."""
    sizes = {letter: draw(st.sampled_from([0, 1, 2, 2, 3])) for letter in "ijk"}
    dots = draw(st.lists(st.integers(1, 2), max_size=2))
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, 3))):
        term = draw(st.text("ijk", max_size=3))
        own = {c: draw(st.sampled_from([sizes[c], sizes[c], 1])) for c in term}
        shape = [own[c] for c in term]
        if draw(st.booleans()):
            at, cut = draw(st.integers(0, len(term))), draw(st.integers(0, len(dots)))
            shape[at:at] = [draw(st.sampled_from([n, 1])) for n in dots[cut:]]
            term = f"{term[:at]}...{term[at:]}"
        terms.append(term)
        shapes.append(tuple(shape))
    text = ",".join(terms)
    if draw(st.booleans()):
        used = sorted(set(text) & set("ijk"))
        output = "".join(draw(st.permutations(used))[: draw(st.integers(0, len(used)))])
        text += "->" + "..." * ("..." in text) + output
    return text, shapes


@given(chosen=sums())
def test_values_and_slopes_are_numpys(chosen, backend):
    """It is linear in each operand: a slope is what an operand of zeros and a one gives."""
    text, shapes = chosen
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in shapes]
    right = np.asarray(np.einsum(text, *arrays))
    xs = [mg.tensor(a, backend=backend, requires_grad=True) for a in arrays]
    y = mg.einsum(text, *xs)
    np.testing.assert_allclose(y.numpy(), right, rtol=1e-10, atol=1e-12)
    g = rng.normal(size=right.shape)
    cotangent = mg.tensor(g, backend=backend, requires_grad=True)
    found = mg.grad(y, xs, cotangent, create_graph=True)
    for i, a in enumerate(arrays):
        slopes = np.zeros(a.shape)
        for at in np.ndindex(a.shape):
            one = np.zeros(a.shape)
            one[at] = 1
            slopes[at] = (np.einsum(text, *arrays[:i], one, *arrays[i + 1 :]) * g).sum()
        assert found[i].shape == a.shape
        np.testing.assert_allclose(found[i].numpy(), slopes, rtol=1e-10, atol=1e-12)
    # Of the gradients' sum, weighted, by the cotangent: the sum's change along the weights.
    weights = [rng.normal(size=a.shape) for a in arrays]
    second = mg.grad(found, cotangent, [mg.tensor(w, backend=backend) for w in weights])
    change = sum(np.einsum(text, *arrays[:i], w, *arrays[i + 1 :]) for i, w in enumerate(weights))
    np.testing.assert_allclose(second.numpy(), change, rtol=1e-10, atol=1e-12)
