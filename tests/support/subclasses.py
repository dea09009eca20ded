"""Classes of minigrad that derive from one of its bases."""


def all_of(base):
    """The classes that minigrad derives from a base, at any depth."""
    own = {c for c in base.__subclasses__() if c.__module__.startswith("minigrad.")}
    return own.union(*map(all_of, own))
