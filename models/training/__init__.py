"""Training: the loop, and the folder that a run is saved to."""
