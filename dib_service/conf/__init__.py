"""The options of the service: one file for each noun.

Each module has a ``GROUP``, its ``OPTS``, ``register_opts(conf)`` and
``list_opts()``.
"""

from oslo_config import cfg

from dib_service.conf import conductor, database, glance, messaging

# oslo.messaging registers some of its groups on the global object only.
CONF = cfg.CONF

MODULES = (conductor, database, glance, messaging)

for module in MODULES:
    module.register_opts(CONF)
