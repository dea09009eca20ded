"""The illustrated guide: chapters as scripts, and what makes notebooks and pages of them."""

from .boxes import boxes
from .chapter import quick
from .claims import Claim, claim
from .coloured import coloured
from .pictures import Frame, Frames, Picture, moving

__all__ = ["Claim", "Frame", "Frames", "Picture", "boxes", "claim", "coloured", "moving"]
__all__ += ["quick"]
