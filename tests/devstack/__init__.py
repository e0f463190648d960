"""devstack as its plugins see it, without devstack."""
