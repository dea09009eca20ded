"""`mg.data`: examples in batches, shuffled and padded; sequences side by side."""

from .loader import *
from .padding import *
from .splits import *

__all__ = ["DataLoader", "pad_sequence", "random_split", "unpad_sequence"]
