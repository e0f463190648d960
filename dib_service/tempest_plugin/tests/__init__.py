"""The tests; see README.rst beside this folder."""
