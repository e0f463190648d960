"""How long builds take, here and with diskimage-builder, side by side."""
