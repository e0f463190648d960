"""What oslo-config-generator and the configuration reference list."""

from collections.abc import Sequence
import itertools

from oslo_config import cfg

from dib_service import conf


def list_opts() -> list[tuple[str, Sequence[cfg.Opt]]]:
    """The service's own options, by group; libraries list theirs."""
    return list(
        itertools.chain.from_iterable(
            module.list_opts() for module in conf.MODULES
        )
    )
