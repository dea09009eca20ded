"""PyTorch and Keras, for tests that compare with them and are skipped where they are missing."""

import os
import tempfile

import pytest

from minigrad.utils.install import install_line


def torch_or_skip():
    reason = f"PyTorch is not installed here; {install_line('oracle')}"
    return pytest.importorskip("torch", reason=reason)


def keras_or_skip():
    """Keras on PyTorch; its settings aren't those of the user's home."""
    torch_or_skip()
    os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ.setdefault("KERAS_HOME", tempfile.mkdtemp(prefix="keras-"))
    reason = f"Keras is not installed here; {install_line('oracle')}"
    return pytest.importorskip("keras", reason=reason)
