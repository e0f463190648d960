"""Tests of a running image-build service, for tempest.

Stands alone: it asks the service over HTTP, as any client does, and may be
installed beside tempest without the service's own requirements.
"""
