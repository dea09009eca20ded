"""What is in the folder of a saved run, and whether two runs are the same."""


def content(folder):
    """Its files, and what is in them."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def the(folder, kind):
    """The file of the weights (model), of the words (extras) or of the figures (metrics)."""
    (found,) = folder.glob(f"{kind}*")
    return found


def same(a, b):
    """Whether two runs are the same to the bit."""
    weights, others = a.model.state_dict(), b.model.state_dict()
    return (
        a.metrics == b.metrics
        and a.task.extras() == b.task.extras()
        and list(weights) == list(others)
        and all(weights[name].tobytes() == others[name].tobytes() for name in weights)
    )
