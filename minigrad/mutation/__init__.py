"""Mutation testing: break each derivative in many ways and count which breaks the checks notice."""
