"""git, as nobody in particular, for tests of what is fetched with it."""

import os
import subprocess

NOBODY = {
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def git(*words: object) -> str:
    """What it printed, without the blanks around it."""
    return subprocess.run(
        ["git", *map(str, words)],
        env={**os.environ, **NOBODY},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
