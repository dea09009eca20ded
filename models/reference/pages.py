"""Which modules the reference has, a page each, in the order of the start page."""

from __future__ import annotations

_TRAINING = "minigrad.models.training"
_NETWORKS = "minigrad.models.networks"

PAGES: dict[str, tuple[str, ...]] = {
    "Tensors, ops and gradients": (
        *("minigrad", "minigrad.ops", "minigrad.functional", "minigrad.linalg"),
        *("minigrad.recording.record", "minigrad.recording.measures", "minigrad.drawing.render"),
        "minigrad.errors",
    ),
    "Layers and training": (
        *("minigrad.nn", "minigrad.nn.init", "minigrad.nn.cells", "minigrad.models.zoo"),
        *("minigrad.optim", "minigrad.data"),
    ),
    "Models, tasks and files": (
        *(f"{_NETWORKS}.{name}" for name in ("classifier", "tagger", "language_model", "seq2seq")),
        *(f"{_NETWORKS}.{name}" for name in ("attention", "pooling", "generation")),
        *(f"{_NETWORKS}.{name}" for name in ("forecaster", "captioner", "transcriber")),
        *(f"{_TRAINING}.{name}" for name in ("task", "loop", "state", "callbacks", "checkpoint")),
        *(f"{_TRAINING}.{name}" for name in ("run_folder", "text", "edit_distance")),
        *("minigrad.models.tasks.registry", "minigrad.models.reports.explain"),
        *("minigrad.models.convert", "minigrad.models.convert.onnx_files"),
    ),
    "Backends, kernels and checks": (
        *("minigrad.backend", "minigrad.compiler", "minigrad.testing"),
        "minigrad.testing.strategies",
    ),
    "The guide and its exercises": ("minigrad.models.guide", "minigrad.models.exercises"),
}
