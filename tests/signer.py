"""Somebody with an OpenPGP key, and a repository of signed commits."""

import dataclasses
import os
import pathlib
import subprocess

from tests import repository


@dataclasses.dataclass(frozen=True)
class Signer:
    """The keys are in ``home``."""

    home: pathlib.Path

    @property
    def public_key(self) -> str:
        """What its signatures are checked with."""
        return self._gpg("--armor", "--export")

    def commit(self, folder: pathlib.Path, name: str, content: str) -> None:
        """A signed commit of this file in the repository."""
        if not folder.exists():
            repository.git("init", "-q", "-b", "main", folder)
        (folder / name).write_text(content)
        repository.git("-C", folder, "add", name)
        program = self.home / "gpg-of-this"
        program.write_text(f'#!/bin/sh\nexec gpg --homedir {self.home} "$@"\n')
        program.chmod(0o700)
        repository.git(
            *("-C", folder, "-c", f"gpg.program={program}", "commit"),
            *("-q", "-S", "-m", name),
        )

    def _gpg(self, *words: str) -> str:
        return subprocess.run(
            ["gpg", "--homedir", self.home, "--batch", "--quiet", *words],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
        ).stdout


def create(home: pathlib.Path) -> Signer:
    """A new one, in a new directory."""
    home.mkdir(mode=0o700)
    found = Signer(home)
    found._gpg(
        *("--passphrase", "", "--quick-generate-key", "a <a@example.org>"),
        *("ed25519", "sign"),
    )
    return found
