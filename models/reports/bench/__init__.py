"""Measurements to keep and to compare: statistics of rounds, records of runs, a page of plots."""
