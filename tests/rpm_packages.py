"""The packages of the RPM test repositories: enough of a system to build on.

They have the names that the distributions' elements ask for, and are made of
what this machine's own packages hold.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
import re
import subprocess

from tests.rpm_repository import Package

# Nobody reads them in a tree of a test's.
LEFT_OUT = re.compile(
    r"/usr/share/(doc|man|info|locale|lintian|bash-completion|zsh|bug|"
    r"augeas|icons|reportbug|gtk-doc|polkit-1)/|"
    r"/usr/lib/(modules|python3(\.\d+)?/(test|idlelib|ensurepip)|"
    r"x86_64-linux-gnu/(gconv|perl))/|"
    r"/etc/(alternatives|apt|cron[^/]*|init[^/]*|logrotate)|"
    r".*/(apt|dpkg|debconf)\b"
)
# Debian's own, and what nothing here runs.
NOT_NEEDED = frozenset(
    {
        *("adduser", "base-files", "debconf", "debugedit", "dirmngr"),
        *("dpkg", "gnupg", "gnupg-l10n", "gnupg-utils", "gpg-wks-client"),
        *("gpg-wks-server", "gpgsm", "init-system-helpers", "libgdbm6"),
        *("libgdbm-compat4", "libperl5.36", "media-types", "perl"),
        *("perl-base", "perl-modules-5.36", "pinentry-curses"),
        *("augeas-lenses", "sqlite3", "usr-is-merged"),
    }
)

# This machine's own, "python3.11" or another.
PYTHON = Path("/usr/bin/python3").resolve().name

# What Debian's packages are called where RPM packages come from; what these
# depend on, and is named nowhere, is in glibc.
MADE_OF: Mapping[str, tuple[str, ...]] = {
    "bash": ("bash",),
    "coreutils": ("coreutils", "debianutils"),
    "dnf": ("dnf", "dnf-data", "python3-dnf", "libdnf2", "libdnf2-common"),
    "findutils": ("findutils",),
    "gawk": ("mawk",),
    "gnupg2": ("gpg", "gpg-agent", "gpgconf", "gpgv"),
    "grep": ("grep",),
    "gzip": ("gzip",),
    "policycoreutils": ("policycoreutils",),
    "openssh-clients": ("openssh-client",),
    "procps-ng": ("procps",),
    "python3": (
        *("python3", "python3-minimal", PYTHON, f"{PYTHON}-minimal"),
        *(f"lib{PYTHON}-minimal", f"lib{PYTHON}-stdlib"),
    ),
    "rpm": ("rpm", "rpm-common"),
    "sed": ("sed",),
    "shadow-utils": ("login", "passwd"),
    "systemd": ("systemd", "libsystemd-shared"),
    "tar": ("tar",),
    "util-linux": ("mount", "util-linux", "util-linux-extra"),
    "zypper": ("zypper", "zypper-common"),
}

# Of no more than a name here.
PLAIN = (
    *("aaa_base", "audit", "basesystem", "ca-certificates"),
    *("ca-certificates-mozilla", "centos-gpg-keys", "cloud-init"),
    *("cloud-utils-growpart", "curl", "dracut-config-generic", "e2fsprogs"),
    *("fedora-gpg-keys", "fedora-repos", "glibc-langpack-en"),
    *("glibc-locale-base", "glibc-minimal-langpack", "growpart"),
    *("hostname", "iproute", "kmod", "less", "NetworkManager"),
    *("centos-stream-repos", "openSUSE-repos"),
    *("rocky-gpg-keys", "rocky-repos", "sudo", "systemd-udev"),
    *("timezone", "tzdata", "udev", "util-linux-systemd", "xfsprogs"),
)
SUSE_NAMES = {
    "iproute2": "iproute",
    "procps": "procps-ng",
    "shadow": "shadow-utils",
}

DIRECTORIES = {
    "/boot": 0o555,
    "/dev": 0o755,
    "/etc": 0o755,
    "/proc": 0o555,
    "/root": 0o550,
    "/run": 0o755,
    "/sys": 0o555,
    "/tmp": 0o1777,
    "/usr/bin": 0o755,
    "/usr/lib": 0o755,
    "/usr/lib64": 0o755,
    "/usr/sbin": 0o755,
    "/usr/local/bin": 0o755,
    "/var/cache": 0o755,
    "/var/lib": 0o755,
    "/var/log": 0o755,
    "/var/tmp": 0o1777,
}
LINKS = {
    "/bin": "usr/bin",
    "/lib": "usr/lib",
    "/lib64": "usr/lib64",
    "/sbin": "usr/sbin",
    "/var/run": "../run",
}
SETUP = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\n"
    "nobody:x:65534:65534::/:/usr/sbin/nologin\n",
    "/etc/group": "root:x:0:\ntty:x:5:\nnobody:x:65534:\n",
    "/etc/shadow": "root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n",
    "/etc/gshadow": "root:::\nnobody:::\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "/etc/ld.so.conf": "/usr/lib/x86_64-linux-gnu\n",
}
POLICY = {
    "/etc/selinux/config": "SELINUX=enforcing\nSELINUXTYPE=targeted\n",
    "/etc/selinux/targeted/contexts/files/file_contexts": (
        "/.* system_u:object_r:default_t:s0\n"
        "/etc(/.*)? system_u:object_r:etc_t:s0\n"
    ),
}
# A server to be configured, and not to be run.
SERVER = {
    "/etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\n",
    "/usr/lib/systemd/system/sshd.service": (
        "[Service]\nExecStart=/usr/sbin/sshd -D\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
    "/usr/sbin/sshd": "#!/bin/bash\nexit 0\n",
}
KERNEL = "6.1-test"
# Of a card that no virtual machine has.
MODULE = f"/usr/lib/modules/{KERNEL}/kernel/mlx5_ib.ko"
DRACUT = """#!/bin/bash
# Stands for dracut: writes down how it was called.
set -eu
while [ $# -gt 2 ]; do shift; done
echo "initramfs of $2" >"$1"
"""


def system() -> list[Package]:
    """All packages, of whichever distribution."""
    return [
        Package("filesystem", directories=DIRECTORIES, links=LINKS),
        Package("setup", texts=SETUP, requires=("filesystem",)),
        *_of_this_machine(),
        *(Package(name, requires=("bash",)) for name in PLAIN),
        *(
            Package(name, requires=(real,))
            for name, real in SUSE_NAMES.items()
        ),
        _kernel("kernel"),
        # Of a cloud image, and what it lacks.
        _kernel("kernel-default-base", conflicts=("kernel-default",)),
        _kernel("kernel-default", modules=(MODULE,)),
        Package("kernel-modules", {MODULE: "mlx5_ib\n"}, requires=("kernel",)),
        Package("dracut", {"/usr/bin/dracut": DRACUT}, requires=("bash",)),
        _release("fedora-release-cloud", "fedora", "42"),
        _release("centos-stream-release", "centos", "9", "/var/lib/rpm"),
        _release("rocky-release", "rocky", "9.6", "/var/lib/rpm"),
        _release("redhat-release", "rhel", "9.6", "/var/lib/rpm"),
        _release("openSUSE-release", "opensuse-leap", "15.6"),
        Package("selinux-policy-targeted", POLICY, requires=("setup",)),
        Package("openssh-server", SERVER, requires=("openssh-clients",)),
        Package("openssh", requires=("openssh-server",)),
        Package("wanted", {"/usr/share/wanted": "it is here\n"}),
    ]


def _release(
    name: str,
    identity: str,
    version: str,
    database: str = "/usr/lib/sysimage/rpm",
) -> Package:
    return Package(
        name,
        {
            "/usr/lib/os-release": f"ID={identity}\nVERSION_ID={version}\n",
            # Here and not in rpm, which is one for all distributions.
            "/usr/lib/rpm/macros.d/macros.place": f"%_dbpath {database}\n",
            f"/etc/yum.repos.d/{identity}.repo": (
                f"[{identity}]\nname={identity}\ngpgcheck=1\n"
                "baseurl=https://mirror.invalid/\n"
            ),
        },
        links={"/etc/os-release": "../usr/lib/os-release"},
        directories={database: 0o755},
        requires=("filesystem",),
        provides=("system-release",),
        version=version,
    )


def _kernel(
    name: str,
    *,
    modules: tuple[str, ...] = (),
    conflicts: tuple[str, ...] = (),
) -> Package:
    return Package(
        name,
        {
            f"/boot/vmlinuz-{KERNEL}": "a kernel\n",
            f"/usr/lib/modules/{KERNEL}/modules.dep": "",
            **dict.fromkeys(modules, "mlx5_ib\n"),
        },
        requires=("dracut", "grep"),
        conflicts=conflicts,
        # A program that looks around in the tree.
        scripts={"post": "grep Name /proc/self/status >/var/log/kernel"},
    )


def _of_this_machine() -> Iterator[Package]:
    """What the programs are made of, each file in one package."""
    names = {one: rpm for rpm, several in MADE_OF.items() for one in several}
    found: dict[str, list[str]] = {"glibc": []}
    for debian in _with_dependencies(names):
        found.setdefault(names.get(debian, "glibc"), []).append(debian)
    taken = {*LINKS, *SETUP, "/usr/bin/sh", "/usr/bin/awk"}
    for rpm, debian_names in sorted(found.items()):
        files = tuple(_files(debian_names, taken))
        extra = EXTRA.get(rpm, {})
        needs = ("setup",) if rpm == "glibc" else ("glibc",)
        if rpm in ("dnf", "rpm", "zypper"):
            needs = ("python3", "coreutils", "bash", "gnupg2")
        yield Package(
            rpm,
            files=files,
            links=extra,
            requires=needs,
            provides=("/bin/sh",) if rpm == "bash" else (),
        )


EXTRA: Mapping[str, Mapping[str, str]] = {
    "bash": {"/usr/bin/sh": "bash"},
    "gawk": {"/usr/bin/awk": "mawk"},
}


def _files(packages: list[str], taken: set[str]) -> Iterator[str]:
    for path in _listed(packages):
        # A path that is an old name of a directory is that directory's.
        path = re.sub(r"^/(bin|lib|lib64|sbin)/", r"/usr/\1/", path)
        if path in taken or LEFT_OUT.match(path):
            continue
        if Path(path).is_symlink() or Path(path).is_file():
            taken.add(path)
            yield path


def _listed(packages: list[str]) -> list[str]:
    done = subprocess.run(
        ["dpkg-query", "--listfiles", *packages],
        check=True,
        capture_output=True,
        text=True,
    )
    return [line for line in done.stdout.splitlines() if line[:1] == "/"]


def _with_dependencies(names: Mapping[str, str]) -> list[str]:
    """Debian's packages with all that they need and is installed."""
    installed, provided = _installed()
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in found or name in NOT_NEEDED:
            continue
        found.add(name)
        for alternatives in installed[name]:
            for one in alternatives:
                if one in installed or one in provided:
                    todo.append(provided.get(one, one))
                    break
    return sorted(found)


def _installed() -> tuple[dict[str, list[list[str]]], dict[str, str]]:
    """What each package depends on, and who provides what."""
    depends: dict[str, list[list[str]]] = {}
    provided: dict[str, str] = {}
    status = Path("/var/lib/dpkg/status").read_text()
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(\S+): (.*)$", paragraph, re.MULTILINE))
        if not fields.get("Status", "").endswith(" installed"):
            continue
        name = fields["Package"]
        wanted = ",".join(
            filter(None, map(fields.get, ("Pre-Depends", "Depends")))
        )
        depends[name] = [
            re.findall(r"(?:^|\|) *([a-z0-9][a-z0-9+.-]*)", one)
            for one in re.sub(r"\([^)]*\)|:any", "", wanted).split(", ")
        ]
        for one in re.findall(
            r"[a-z][a-z0-9+.-]+", fields.get("Provides", "")
        ):
            provided.setdefault(one, name)
    for name in depends:
        provided.pop(name, None)
    return depends, provided
