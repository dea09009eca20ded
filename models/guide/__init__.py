"""The illustrated guide: chapters as scripts, and what makes notebooks and pages of them."""

from .boxes import boxes
from .chapter import fast_backend, quick
from .claims import Claim, claim
from .coloured import Coloured, coloured
from .pictures import Frame, Frames, Picture, moving

__all__ = [
    "Claim",
    "Coloured",
    "Frame",
    "Frames",
    "Picture",
    "boxes",
    "claim",
    "coloured",
    "moving",
]
__all__ += ["fast_backend", "quick"]
