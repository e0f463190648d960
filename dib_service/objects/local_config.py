"""What of the asker's own surroundings goes into an image, and how."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, Self

# The element that puts it there.
ELEMENT = "local-config"


@dataclasses.dataclass(frozen=True)
class Proxy:
    """The HTTP proxy that the machines of an image use; empty for none.

    ``no_proxy`` are the hosts, domains and networks that they reach directly.
    """

    http: str = ""
    https: str = ""
    no_proxy: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From its stored form, or that of a request."""
        return cls(
            http=data.get("http", ""),
            https=data.get("https", ""),
            no_proxy=tuple(data.get("no_proxy", ())),
        )

    def to_dict(self) -> dict[str, Any]:
        """The form that ``from_dict`` reads; empty where there is none."""
        found = {
            "http": self.http,
            "https": self.https,
            "no_proxy": list(self.no_proxy),
        }
        return {name: value for name, value in found.items() if value}


def variables(proxy: Proxy, ssh_keys: Sequence[str]) -> dict[str, str]:
    """What the element is told, also of what was not asked for.

    Where it is told nothing it looks at its surroundings, as it does for
    somebody who builds on a machine of their own. Those of a builder host
    are the operator's.
    """
    return {
        "DIB_LOCAL_CONFIG_HTTP_PROXY": proxy.http,
        "DIB_LOCAL_CONFIG_HTTPS_PROXY": proxy.https,
        "DIB_LOCAL_CONFIG_NO_PROXY": ",".join(proxy.no_proxy),
        "DIB_LOCAL_CONFIG_SSH_KEYS": "\n".join(ssh_keys),
    }
