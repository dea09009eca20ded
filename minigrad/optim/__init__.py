"""`mg.optim`: optimisers, gradient clipping and learning-rate schedules.

Formulas and option names are those of `torch.optim`.
"""

from .clipping import *
from .lbfgs import *
from .one_cycle import *
from .optimizer import *
from .optimizers import *
from .plateau import *
from .schedule import *
from .schedules import *

__all__ = ["Adadelta", "Adagrad", "Adam", "AdamW", "LBFGS", "Optimizer", "RMSprop", "SGD"]
__all__ += ["clip_grad_norm_", "clip_grad_value_"]
__all__ += ["CosineAnnealingLR", "ExponentialLR", "LambdaLR", "LinearLR", "LinearWarmup"]
__all__ += ["MultiStepLR", "OneCycleLR", "ReduceLROnPlateau", "Schedule", "SequentialLR", "StepLR"]
