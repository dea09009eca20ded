"""The error for what can't be converted: which part of a model, and why."""

from __future__ import annotations

__all__ = ["ConversionError"]


class ConversionError(ValueError):
    """A part of a model has no counterpart on the other side.

    Attributes
    ----------
    part : where it is in the model, such as "encoder.0"; empty for the model itself.
    what : what it is, such as "LSTM".
    reason : why it can't be converted, and what to do instead.

    >>> error = ConversionError("encoder.0", "LSTM", "Keras has no proj_size; got 3")
    >>> print(error)
    encoder.0 (LSTM) can't be converted: Keras has no proj_size; got 3
    >>> error.part, error.reason
    ('encoder.0', 'Keras has no proj_size; got 3')
    """

    def __init__(self, part: str, what: str, reason: str) -> None:
        self.part, self.what, self.reason = part, what, reason
        where = f"{part} ({what})" if part else what
        super().__init__(f"{where} can't be converted: {reason}")
