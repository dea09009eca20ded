"""How to get what an optional feature needs: what every error, report and skipped test says.

minigrad is installed from its checkout. A package of that name on a public index is another one.
"""

__all__ = ["install_line"]


def install_line(*extras: str) -> str:
    """Where and what to type to have minigrad with these extras.

    >>> from minigrad.utils.install import install_line
    >>> print(install_line("learn"))
    in the checkout: pip install -e ".[learn]"
    """
    return f'in the checkout: pip install -e ".[{",".join(extras)}]"'
