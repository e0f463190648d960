"""Who asks."""

from oslo_context import context


class RequestContext(context.RequestContext):
    """The asking user, project and roles, and the id of the request."""
