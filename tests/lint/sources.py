"""Whatever comes into an image is proven, and comes from nobody's machine.

A download is anything that is read from a network, or copied from a checkout,
by a script itself. apt, dnf and zypper prove what they install as long as
nobody tells them not to.
"""

from collections.abc import Iterator, Mapping
import re

from tests.lint.shelf import Shelf, code, shebang, text

DOWNLOAD = re.compile(
    r"""
    (?<![\w.-])(?: curl | wget | cache-url
        | git\ (?:-[^\n;|&]*\ )?(?:clone|fetch|pull|submodule)
        | pip[0-9.]*\ (?:[^\n;|&]*\ )?install
        | npm\ (?:ci|install) | go\ (?:get|install) | cargo\ install
    )\b
    | \b(?:urlopen | urlretrieve)\b
    | \b(?:dnf|yum|zypper|rpm)\ [^\n]*https?:
    """,
    re.VERBOSE,
)
PROOF = re.compile(
    r"sha(?:256|384|512)sum|hashlib\.sha|\bgpgv?\b|verify-(?:commit|tag)"
    r"|--require-hashes|rpmkeys --checksig"
)
UNPROVEN = re.compile(
    r"""
    --no-?gpg-?checks? | gpgcheck\s*=\s*(?:0|no|false|off)
    | gpg-auto-import-keys | --allow-unsigned-rpm
    | allow-(?:unauthenticated|insecure-repositories|downgrade-to-insecure)
    | (?:trusted|allow-insecure)\s*[=:]\s*yes
    | AllowInsecureRepositories[ ]"?(?:1|true)
    | AllowUnauthenticated[ ]"?(?:1|true)
    | Verify-(?:Peer|Host)[ ]"?(?:0|false)
    | --no-check-certificate | curl\ (?:[^\n]*\ )?(?:-\w*k\b|--insecure)
    | http\.sslVerify[ =]false | GIT_SSL_NO_VERIFY | --nosignature
    | --nodigest | --no-check-gpg | sslverify\s*=\s*(?:0|no|false)
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Debian's apt-key is gone with trixie; a keyring is named by signed-by.
FORGOTTEN = re.compile(r"(?<![\w.-])apt-key(?![\w-])")

# A commit is its own checksum; a branch or a tag is what somebody makes of it.
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
DIGEST = re.compile(r"#sha(?:256=[0-9a-f]{64}|512=[0-9a-f]{128})$")

# What may fetch without proof, and why.
UNPROVEN_HERE: Mapping[str, str] = {
    "cache-url/bin/cache-url": "fetches for a hook, which has to prove it",
    "sysprep/bin/extract-image": "fetches for a hook, which has to prove it",
    "source-repositories/extra-data.d/98-source-repositories": (
        "fetches what an author pins by commit, or by checksum"
    ),
    "simple-init/source-repository-simple-init": (
        "only for whoever asks for the repository, and says which commit"
    ),
    "simple-init/install.d/simple-init-repo-install/40-glean": (
        "from a checkout of source-repositories, with what pip takes for it"
    ),
    "simple-init/install.d/simple-init-source-install/40-glean": (
        "whoever asks for it takes what their index of packages has"
    ),
}

# Put together here, so that this file does not name one itself. A distribution
# that cannot be had from the host's own sources has its own mirrors named by
# its element.
REGISTRIES = re.compile(
    r"(?i)\b(?:(?:pypi|debian|npmjs)[.](?:org|com|net)"
    r"|pythonhosted[.]org|quay[.]io|docker[.](?:io|com))\b"
)
# Where somebody works, which is nowhere else.
MACHINES = re.compile(
    r"(?<![\w.$}{*-])/(?:work|workspace|Users)\b|(?<![\w.$}{*-])/home/\w"
    r"|\b(?:localhost|127\.0\.0\.1):\d"
)


def downloads_are_proven(shelf: Shelf) -> Iterator[str]:
    for name, line in _downloads(shelf):
        if name not in UNPROVEN_HERE:
            yield f"{name}: no checksum, no signature for: {line}"


def proofs_are_asked_for(shelf: Shelf) -> Iterator[str]:
    """Nothing tells a program to take what it cannot prove."""
    for path in shelf.files():
        if path.name == "README.rst":
            continue
        said = code(path)
        for found in UNPROVEN.finditer(said):
            yield f"{shelf.name(path)}: {found[0]}"
        if FORGOTTEN.search(said):
            yield f"{shelf.name(path)}: apt-key, which trixie does not have"


def exceptions_are_needed(shelf: Shelf) -> Iterator[str]:
    """One for something that is gone would excuse what comes in its place."""
    needed = {name for name, _ in _downloads(shelf)}
    present = {path.name for path in shelf.elements()}
    for name in UNPROVEN_HERE:
        if name.partition("/")[0] in present and name not in needed:
            yield f"{name}: fetches nothing that would be unproven"


def no_registry_is_named(shelf: Shelf) -> Iterator[str]:
    """A site has its own: it is a knob, or the host's."""
    for path in shelf.files():
        if REGISTRIES.search(text(path)):
            yield f"{shelf.name(path)}: {REGISTRIES.findall(text(path))[0]}"


def no_machine_is_named(shelf: Shelf) -> Iterator[str]:
    for path in shelf.files():
        for found in MACHINES.finditer(text(path)):
            yield f"{shelf.name(path)}: {found[0]}"


def _downloads(shelf: Shelf) -> Iterator[tuple[str, str]]:
    """Each file that fetches and proves nothing, and a word of it."""
    sourced = shelf.sourced()
    for path in shelf.files():
        if path.name.startswith("source-repository-"):
            for line in code(path).splitlines():
                if line.split() and not _is_pinned(line.split()):
                    yield shelf.name(path), line
        # Lists of packages have the names of such programs, too.
        if not (shebang(path) or path.suffix == ".py" or path in sourced):
            continue
        said = code(path)
        found = DOWNLOAD.search(said)
        if found and not PROOF.search(said):
            yield shelf.name(path), found[0]


def _is_pinned(source: list[str]) -> bool:
    """Whether a line of source-repository-* can come to one thing only."""
    _, kind, _, location, *ref = source
    if kind == "git":
        return bool(ref and COMMIT.fullmatch(ref[0]))
    return kind == "package" or bool(DIGEST.search(location))
