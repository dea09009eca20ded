"""Recurrent cells and layers, end-to-end models and their tasks."""
