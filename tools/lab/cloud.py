"""Keystone and Glance together, with the accounts in them."""

import dataclasses
import pathlib

from tools.lab import accounts
from tools.lab.accounts import Account
from tools.lab.glance import Glance
from tools.lab.keystone import Keystone
from tools.lab.state import State


class Cloud:
    """What dib-service needs of a cloud, on one machine.

    ``venv`` is where Keystone and Glance are installed.
    """

    def __init__(self, state: State, venv: pathlib.Path) -> None:
        self.state = state
        self.keystone = Keystone(state, venv)
        self.glance = Glance(state, venv, self.keystone)
        # The endpoint that the catalog has for image-build.
        self.api_port = state.port("dib-api")
        self.api_url = f"http://127.0.0.1:{self.api_port}"

    def start(self) -> None:
        """Start what does not run, and make the accounts that are missing."""
        self.keystone.start()
        accounts.make(
            self.state,
            self.keystone.auth_url,
            {
                "image": self.glance.url,
                accounts.SERVICE_TYPE: self.api_url,
            },
        )
        self.glance.start()

    def stop(self) -> None:
        """End both."""
        self.glance.stop()
        self.keystone.stop()

    def account(self, name: str) -> Account:
        """``admin``, ``dib``, ``dib-upload``, ``demo`` or ``other``."""
        return accounts.account(self.state, self.keystone.auth_url, name)

    def service_project_id(self) -> str:
        """The project that the users of services are in."""
        with self.account("glance").connect() as cloud:
            return str(cloud.current_project_id)

    def operator(self) -> Account:
        """``admin`` of the whole system, who has to do with hardware."""
        return dataclasses.replace(self.account("admin"), project_name=None)
