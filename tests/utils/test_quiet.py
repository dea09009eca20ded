"""A context without NumPy's warnings: as `np.errstate`, however NumPy keeps its settings."""

import numpy as np
import pytest

from minigrad.utils import quiet as module
from minigrad.utils.quiet import quiet


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_it_ignores_errors_and_brings_back_what_was_set(monkeypatch, known):
    assert len(module._SETTINGS) == 1  # or the quick way is never taken
    if not known:
        monkeypatch.setattr(module, "_SETTINGS", [])
    with np.errstate(all="raise", under="call", call=print):
        before = np.geterr(), np.geterrcall()
        outer = quiet()
        with outer:
            with quiet():
                assert np.isinf(np.ones(1) / 0).all()
            assert set(np.geterr().values()) == {"ignore"}
            with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
                np.ones(1) / 0
            assert set(np.geterr().values()) == {"ignore"}
        with pytest.raises(ValueError, match="out"), quiet():
            raise ValueError("out")
        assert (np.geterr(), np.geterrcall()) == before
        with pytest.raises(FloatingPointError):
            np.ones(1) / 0
