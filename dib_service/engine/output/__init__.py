"""The files that a build gives, and how they get to their place."""
