"""How the Numba backend writes, compiles, keeps and runs kernels."""
