"""How the CuPy backend writes and runs kernels, and why it can't start."""
