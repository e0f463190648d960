"""Makes of what the cloud says the user, the name and the network."""
