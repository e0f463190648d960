"""What comes after the network and the keys, and who takes over from there."""
