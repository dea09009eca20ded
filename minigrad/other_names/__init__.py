"""What PyTorch and NumPy call things that minigrad has: for errors, and for a page."""
