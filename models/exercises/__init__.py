"""Exercises of the guide: files with blanks, and checks that say what is wrong and where."""

from . import by_hand, cells, training, transcription  # they declare the exercises
from .compare import Mistake, compare
from .exercise import EXERCISES, Exercise, Student, check

__all__ = ["EXERCISES", "Exercise", "Mistake", "Student", "by_hand", "cells", "check", "compare"]
__all__ += ["training", "transcription"]
