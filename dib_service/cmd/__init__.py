"""The programs. Imported before anything that starts a thread."""

from oslo_service import backend

# oslo.service wants to know before any of its other modules is imported.
backend.init_backend(backend.BackendType.THREADING)
