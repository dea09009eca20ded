"""`mg.optim`: optimisers, gradient clipping and learning-rate schedules.

Formulas and option names are those of `torch.optim`.
"""

from .clipping import *
from .optimizer import *
from .optimizers import *
from .schedules import *
