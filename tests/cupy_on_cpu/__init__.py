"""The real CuPy on a machine without a GPU: see README.md."""
