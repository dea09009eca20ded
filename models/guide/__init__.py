"""The illustrated guide: chapters as scripts, and what makes notebooks and pages of them."""

from .boxes import boxes
from .chapter import fast_backend, quick
from .claims import Claim, claim
from .coloured import Coloured, coloured
from .diagram import Box, diagram
from .pictures import Frame, Frames, Picture, moving

__all__ = ["Box", "Claim", "Coloured", "Frame", "Frames", "Picture", "boxes", "claim", "coloured"]
__all__ += ["diagram", "fast_backend", "moving", "quick"]
