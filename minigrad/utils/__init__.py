"""Helpers that know nothing of tensors: files, install lines, arguments, scopes, sums."""
