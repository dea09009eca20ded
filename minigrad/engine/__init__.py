"""The core: tensors, ops, the graph and the sweep over it."""
