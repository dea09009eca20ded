"""The tasks that models are trained on, each with its data."""
