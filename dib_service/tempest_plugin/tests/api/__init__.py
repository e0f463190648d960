"""One noun of the API at a time."""
