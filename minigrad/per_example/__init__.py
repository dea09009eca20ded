"""Gradients for each example of a batch."""
