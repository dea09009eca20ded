"""The forward algorithm of CTC: the probability of all rows of symbols that say the labels.

The symbol 0 is the blank. The labels with blanks around them are places in a line: for [3, 1] they
are [0, 3, 0, 1, 0]. A row of symbols starts at the first or second place, and ends at the last or
the one before. From step to step it stays, goes on by one place, or by two: from a label to the
next, if that is another label.

Check it: minigrad exercise check ctc-forward FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def probability(p, labels):
    """The sum over all rows, for p (T, C), the probability of each symbol at each step."""
    places = [0]
    for label in labels:
        places += [label, 0]
    alpha = np.zeros(len(places))  # by place, the probability of all rows that end there
    alpha[:2] = p[0, places[:2]]
    for t in range(1, len(p)):
        new = np.zeros(len(places))
        for i, symbol in enumerate(places):
            arrives = blank("what stays at this place, and what comes from the one before")
            if i > 1 and blank("whether a row may come from two places before"):
                arrives += alpha[i - 2]
            new[i] = blank("of what arrives, that which says the place's symbol")
        alpha = new
    return blank("the sum over the places where a row may end")
