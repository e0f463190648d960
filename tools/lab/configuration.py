"""Configuration files of oslo.config, and what every service has in them."""

from collections.abc import Mapping
import pathlib

from tools.lab.accounts import Account

Sections = Mapping[str, Mapping[str, object]]


def write(file: pathlib.Path, sections: Sections) -> None:
    """Write ``file``, which its owner alone may read."""
    file.touch(mode=0o600)
    file.write_text(
        "\n".join(
            f"[{section}]\n"
            + "".join(f"{name} = {value}\n" for name, value in options.items())
            for section, options in sections.items()
        )
    )


def auth(account: Account) -> dict[str, object]:
    """The options with which keystoneauth becomes this account."""
    return {"auth_type": "password", **account.auth()}


def auth_token(account: Account) -> dict[str, object]:
    """The section ``keystone_authtoken`` of a service with this account."""
    return {"www_authenticate_uri": account.auth_url, **auth(account)}
