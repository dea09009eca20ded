"""Loops over time as plain NumPy."""
