"""Linters over the whole tree, and its documentation."""
