"""Tests run on the same threads as the programs do."""

from oslo_service import backend

# Whoever comes first decides, and some of oslo would decide for eventlet.
backend.init_backend(backend.BackendType.THREADING)
