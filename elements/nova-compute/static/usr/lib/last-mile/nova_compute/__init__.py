"""What a compute node's services take from the cloud's metadata."""
