"""The files that elements ask for by their knobs."""

import json
import os
from pathlib import Path
import subprocess

from tests.conformance import bookworm

# Of a day in the past, so that a commit is the same one every time.
GIT = {
    "GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z",
    "GIT_AUTHOR_EMAIL": "somebody@example.org",
    "GIT_AUTHOR_NAME": "Somebody",
    "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z",
    "GIT_COMMITTER_EMAIL": "somebody@example.org",
    "GIT_COMMITTER_NAME": "Somebody",
}

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDib0 somebody@example.org\n"


def write(place: Path) -> None:
    """Make them in a directory."""
    for name, text in {
        "a-file": "the file\n",
        "apt.conf": 'APT::Get::Assume-Yes "true";\n',
        "jail.conf": "[DEFAULT]\nbantime = 3600\n",
        "keys": KEY,
        "manifest.json": json.dumps(
            {"packages": [{"package": "bc", "version": "1.*"}]}
        ),
        "sources.list": bookworm.sources(),
        "updates.conf": 'Unattended-Upgrade::Mail "root";\n',
    }.items():
        (place / name).write_text(text)
    _repository(place / "a-repository")
    archived = place / "archived"
    (archived / "inside").mkdir(parents=True)
    (archived / "inside/file").write_text("archived\n")
    subprocess.run(
        ["tar", "-C", archived, "-czf", place / "an-archive.tar.gz", "."],
        check=True,
    )


def _repository(place: Path) -> None:
    place.mkdir()
    (place / "file").write_text("in a repository\n")
    for words in (
        ("init", "--quiet", "--initial-branch", "master"),
        ("add", "file"),
        ("commit", "--quiet", "--message", "a commit"),
        ("tag", "the-tag"),
    ):
        subprocess.run(
            ["git", *words], cwd=place, env={**os.environ, **GIT}, check=True
        )
