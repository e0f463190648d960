"""The boot gate: a finished product is started before it is anybody's."""
