"""Sources as they lie in the cache, fetched when they are not there."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time

import declared

TRIES = 5
PAUSE_SECONDS = 5.0
PIECE_BYTES = 1024 * 1024
EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


class Store:
    """A directory of sources that builds have in common.

    The names in it are those of diskimage-builder, whose builds may use it
    at the same time.
    """

    def __init__(self, directory, *, cache_url, offline):
        self.directory = directory
        self.offline = offline
        self._cache_url = cache_url
        directory.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def held(self, source):
        """The source's place, which nobody else changes meanwhile.

        :raises declared.Mistake: it could not be fetched.
        """
        place = self._place(source)
        with (
            # All of it is held by diskimage-builder while it is at work.
            locked(self.directory / "repositories_flock", fcntl.LOCK_SH),
            locked(place.with_name(f"{place.name}.held"), fcntl.LOCK_EX),
        ):
            if source.kind == "git":
                self._fetch_git(source, place)
            else:
                self._fetch_file(source, place)
            yield place

    def _place(self, source):
        told = f"{source.kind}_{source.location}\n".encode()
        name = re.sub("[^A-Za-z0-9]", "_", source.name)
        # Not a secret: the name that diskimage-builder gives it.
        digest = hashlib.sha1(told, usedforsecurity=False).hexdigest()
        return self.directory / f"{name}_{digest}"

    def _fetch_git(self, source, place):
        if not place.exists():
            partial = place.with_name(f"{place.name}.tmp")
            self._try_git(
                source,
                ("clone", "--quiet", "--bare", "--", source.location, partial),
                before=lambda: shutil.rmtree(partial, ignore_errors=True),
            )
            partial.rename(place)
        if source.ref == "*":
            if not self.offline:
                self._fetch_all(source, place)
            return
        if self.offline and commit(place, source.ref):
            return
        # By its name, which may be outside of heads and tags, as a review's
        # is. That fails for a commit, which has to be in one of them.
        only = f"+{source.ref}:{source.ref}"
        if git(place, *fetching(source), only, may_fail=True).returncode:
            self._fetch_all(source, place)
        if not commit(place, source.ref):
            raise declared.Mistake(
                f"{source.name}: there is no '{source.ref}' in {source.shown}"
            )

    def _fetch_all(self, source, place):
        self._try_git(source, ("-C", place, *fetching(source), *EVERYTHING))

    def _try_git(self, source, words, *, before=lambda: None):
        for number in range(1, TRIES + 1):
            before()
            if not git(None, *words, may_fail=True).returncode:
                return
            if number < TRIES:
                print(f"{source.name}: try {number} failed, once more soon")
                time.sleep(PAUSE_SECONDS)
        raise declared.Mistake(
            f"{source.name}: {source.shown} could not be read by git"
        )

    def _fetch_file(self, source, place):
        if self._proven(source, place):
            return
        if not (self.offline and place.exists()):
            self._cache(source, place)
        if source.checksum and not self._proven(source, place):
            place.unlink()
            raise declared.Mistake(
                f"{source.name}: {source.shown} is not what its checksum says"
            )

    def _cache(self, source, place):
        done = subprocess.run(
            [self._cache_url, source.location.partition("#")[0], place]
        )
        if done.returncode:
            raise declared.Mistake(
                f"{source.name}: {source.shown} could not be fetched"
            )

    def _proven(self, source, place):
        if not source.checksum or not place.exists():
            return False
        algorithm, expected = source.checksum
        found = hashlib.new(algorithm)
        with place.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                found.update(piece)
        return found.hexdigest() == expected


@contextlib.contextmanager
def locked(file, kind):
    with file.open("a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for {file}", flush=True)
            fcntl.flock(lock, kind)
        yield


def fetching(source):
    return ("fetch", "--quiet", "--prune", "--update-head-ok", source.location)


def commit(repository, ref):
    """The commit that a reference means, or nothing."""
    done = git(
        repository,
        *("rev-parse", "--quiet", "--verify", f"{ref}^{{commit}}"),
        may_fail=True,
    )
    return done.stdout.strip()


def git(repository, *words, may_fail=False):
    """Run git; what it printed is in the answer's stdout."""
    place = ("-C", repository) if repository else ()
    return subprocess.run(
        ["git", *place, *words],
        # Nobody is there to be asked for a password.
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=not may_fail,
    )
