"""Reports on models: explanations, gradient checks, timings."""
