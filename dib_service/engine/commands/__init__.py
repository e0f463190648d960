"""diskimage-builder's commands, for people without a cloud."""
