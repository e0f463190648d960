"""The state of a machine, which outlives a redeploy."""
