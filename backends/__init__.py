"""The backends that come with minigrad; each is found through its entry point."""

import sys

from minigrad.other_names.hooks import explain_module

explain_module(sys.modules[__name__], "mg.backends", ["torch.backends."])
