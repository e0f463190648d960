"""What the elements' source-repository-* files say, and who says otherwise."""

import dataclasses
import re
import subprocess

LINE = re.compile(
    r"([^ ]+) (git|tar|file|package) ?(/[^ ]+)? ?([^ ]+)? ?([^ ]*)"
)
# ://host/ or ://host/~user/, which DIB_GITREPOBASE stands in for.
BASE = re.compile(r"[^:]+://[^/]+/(~[^/]+)?(.*)")
CHECKSUM = re.compile(r"(sha256|sha512)=([0-9a-f]+)")
DEFAULT_REF = {"git": "master", "tar": "*"}


class Mistake(Exception):
    """A source cannot be had as it was asked for."""


@dataclasses.dataclass(frozen=True)
class Source:
    """One source: where it is, and where in the image it belongs."""

    name: str
    kind: str
    path: str
    location: str
    ref: str

    def __str__(self):
        return f"{self.name}: {self.kind} {self.shown} {self.ref}".rstrip()

    @property
    def shown(self):
        """The location, without what may be somebody's password."""
        return re.sub(r"^([^:/]+://)[^/@]*@", r"\1", self.location)

    @property
    def checksum(self):
        """The algorithm and the sum behind the location's "#", if any."""
        found = CHECKSUM.fullmatch(self.location.partition("#")[2])
        return found.groups() if found else None


def read(hooks, environment):
    """All sources that are to be fetched, in the order of their files."""
    return [
        source
        for file in sorted(hooks.glob("source-repository-*"))
        if file.is_file() and not file.name.endswith("~")
        for source in read_file(file, environment)
    ]


def read_file(file, environment):
    """The sources of one file that this image wants from source."""
    sources = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.strip().startswith("#"):
            continue
        text = expanded(line.strip(), file, environment)
        if not text or text.startswith("#"):
            continue
        match = LINE.fullmatch(text)
        if not match:
            raise Mistake(f"{file.name}: '{text}' is not a source repository")
        source = chosen(match.groups(default=""), environment)
        if wanted(source, environment):
            sources.append(checked(source, file.name))
    return sources


def expanded(line, file, environment):
    """The line as the shell reads it.

    All that a shell does is done: the file is the element's own, as its
    hooks are. A value is not read again, so that nothing in it is run.
    """
    done = subprocess.run(
        # No word is a pattern here: "*" is a reference.
        ["/bin/bash", "-efuc", 'eval "echo $1"', "source", line],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise Mistake(f"{file.name}: the shell does not take '{line}'")
    return done.stdout.strip()


def chosen(words, environment):
    """The source, with what the environment says instead."""
    name, kind, path, location, ref = words
    suffix = re.sub("[^A-Za-z0-9]", "_", name)
    kind = environment.get(f"DIB_REPOTYPE_{suffix}") or kind
    instead = environment.get(f"DIB_REPOLOCATION_{suffix}")
    base = environment.get("DIB_GITREPOBASE")
    if kind == "git" and base and not instead:
        match = BASE.fullmatch(location)
        location = base + match[2] if match else location
    ref = environment.get(f"DIB_REPOREF_{suffix}") or ref
    return Source(
        name=name,
        kind=kind,
        path=path,
        location=instead or location,
        ref=ref or DEFAULT_REF.get(kind, ""),
    )


def wanted(source, environment):
    suffix = re.sub("[^A-Za-z0-9]", "_", source.name)
    default = environment.get("DIB_DEFAULT_INSTALLTYPE") or "source"
    kind = environment.get(f"DIB_INSTALLTYPE_{suffix}") or default
    if kind != "source":
        print(f"{source.name}: not from source, its install type is {kind}")
        return False
    return source.kind != "package"


def checked(source, file):
    """The same source, if there is sense in it."""
    why = ""
    if source.kind not in ("git", "tar", "file"):
        why = f"there is no type '{source.kind}'"
    elif not source.path or not source.location:
        why = "it wants a destination and a location"
    elif source.location.startswith("-") or source.ref.startswith("-"):
        why = "neither a location nor a reference is an option"
    elif source.kind == "tar" and (
        ".." in source.ref.split("/") or source.ref.startswith("/")
    ):
        why = f"'{source.ref}' is not in the tarball"
    elif "#" in source.location and "sha" in source.location.partition("#")[2]:
        why = bad_checksum(source)
    if why:
        raise Mistake(f"{file}: {source.name}: {why}")
    return source


def bad_checksum(source):
    """Why the checksum is none: one that is not looked at is worse."""
    lengths = {"sha256": 64, "sha512": 128}
    if source.kind == "git":
        return "a git repository has no checksum: name a commit"
    if not source.checksum:
        return "a checksum is written #sha256=… or #sha512=…, in hex"
    algorithm, digits = source.checksum
    if len(digits) != lengths[algorithm]:
        return f"a {algorithm} has {lengths[algorithm]} digits"
    return ""
