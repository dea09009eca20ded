"""The reference of all public names: pages made of the docstrings."""
