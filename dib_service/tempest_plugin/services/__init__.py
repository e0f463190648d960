"""Clients of the REST API, as tempest has them."""
