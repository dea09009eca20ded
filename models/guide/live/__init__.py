"""The page of `minigrad guide --serve`: a review, a model's answer, and gates set by hand."""

from .page import serving
from .reader import Reader
from .server import Server

__all__ = ["Reader", "Server", "serving"]
