"""What somebody does with several services, from beginning to end."""
