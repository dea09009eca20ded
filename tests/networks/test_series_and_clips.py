"""The forecaster and the captioner: what they compute, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.models.networks.captioner import Captioner
from minigrad.models.networks.forecaster import Forecaster
from minigrad.models.registry import CELLS

SEEDS = st.integers(0, 2**32)


@given(SEEDS, st.sampled_from([*CELLS]), st.integers(1, 2))
def test_forecast_is_last_value_plus_linear_plus_recurrent(backend, seed, cell, layers):
    mg.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = Forecaster(cell, 2, 3, past=4, ahead=5, num_layers=layers).eval()
    model.linear.weight.data = mg.tensor(rng.normal(size=(5, 4)).astype("float32"))
    x = rng.normal(size=(4, 6, 2)).astype("float32")
    y, _ = model.recurrent(mg.tensor(x))
    weights = {name: array.astype(float) for name, array in model.state_dict().items()}
    recurrent = y.numpy()[-1] @ weights["head.weight"].T + weights["head.bias"]
    last = x[-1, :, :1]
    linear = (x[:, :, 0].T - last) @ weights["linear.weight"].T
    np.testing.assert_allclose(model(x).numpy(), last + linear + recurrent, atol=1e-4)


@pytest.mark.parametrize("shape", [(4, 6), (3, 6, 2), (4, 6, 3)])
def test_forecaster_refuses_other_sizes(shape):
    with pytest.raises(ValueError, match=r"features are \(T, N, F\) = \(4, N, 2\); got "):
        Forecaster("gru", 2, 3, past=4, ahead=5)(np.zeros(shape))


@given(SEEDS, st.integers(0, 3), st.integers(0, 3))
def test_strips_are_the_same_wherever_a_shape_stands(backend, seed, row, column):
    mg.manual_seed(seed)
    rng = np.random.default_rng(seed)
    # Places 0..11 of a template in a row, in strips of 4: each of 0..3 is in the first one. The
    # windows that see only a part of the shape would score, too, hence templates that like it.
    model = Captioner("gru", (7, 15), (4, 4), 9, 4, templates=3, strip=4).eval()
    shape = rng.uniform(0.5, 1, (4, 4))
    model.templates.weight.data = mg.tensor(np.tile(shape.ravel(), (3, 1)).astype("float32"))
    frames = np.zeros((1, 2, 7, 15))
    frames[0, 0, :4, :4] = shape
    frames[0, 1, row : row + 4, column : column + 4] = shape
    strips, watched = model.steps(frames)
    assert strips.shape == (3, 2, 4) and watched.shape == (1, 2, 4)
    np.testing.assert_allclose(strips.numpy()[0, 0], strips.numpy()[0, 1], atol=1e-5)


def test_second_loss_asks_which_words_there_are(backend):
    model = Captioner("gru", (4, 4), (4, 4), 7, 4, strip=1)
    frames = np.zeros((2, 2, 4, 4))
    model.seen.weight.data *= 0
    lengths = [2, 1]
    losses = []
    for score in (0.0, 100.0):
        scores = np.zeros(7, "float32")
        scores[5] = score  # the word that both have
        model.seen.bias.data = mg.tensor(scores)
        losses.append(model.loss(frames, [[5, 5], [6, 4]], lengths)[0].item())
    assert losses[0] - losses[1] == pytest.approx(np.log(2) / 7, rel=1e-4)


def test_captioner_refuses():
    with pytest.raises(ValueError, match="a multiple of those of a strip, 3"):
        Captioner("gru", (4, 7), (4, 4), 9, 8)
    with pytest.raises(ValueError, match=r"a template \(5, 4\) has"):
        Captioner("gru", (4, 7), (5, 4), 9, 8, strip=1)
    model = Captioner("gru", (4, 6), (4, 4), 9, 8)
    for shape in ((2, 1, 4, 7), (2, 4, 6), (0, 1, 4, 6)):
        with pytest.raises(ValueError, match=r"rows and columns \(4, 6\); got"):
            model.steps(np.zeros(shape))
