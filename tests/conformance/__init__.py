"""diskimage-builder and this engine, side by side."""
