"""Which variables a request may set, and to what.

Elements are shell scripts, and some of their hooks run on the builder outside
the image; every variable of a build also ends up in the image's manifest and
in its log. So a name has to be one that elements read, and neither the name
nor the value may reach for the builder's files, programs or secrets.
"""

from collections.abc import Collection, Mapping
import re

from dib_service.api import faults, text

NAME_LENGTH = 255
VALUE_BYTES = 4096

# What diskimage-builder's elements read under names of another form.
ALLOWED = frozenset(
    {
        "GENTOO_PORTAGE_CLEANUP",
        "GENTOO_PROFILE",
        "GENTOO_PYTHON_TARGETS",
        "NO_SOURCE_REPOSITORIES",
        "UBOOT_KERNEL_ADDR",
        "UBOOT_KERNEL_EP",
    }
)

_NAME = re.compile(r"DIB_[A-Z0-9_]+")
# These two are followed by the name of an element or repository.
_NAMED_AFTER = re.compile(r"DIB_(INSTALLTYPE|REPOREF)_[A-Za-z0-9_]+")

_SHELL = "it changes how programs on the builder run"
_PROGRAM = "it names a program, or words for one, that the builder would run"
_HOST = "it names files of the builder"
_OURS = "the service decides it"
_BAKED_IN = (
    "variables end up in the image and in the log, so it may not hold a "
    "secret; let the last mile (config drive, metadata) bring it"
)
_SOURCE = "it would bring code that no element of the operator's names"
_TRUST = "it would turn off the check of what is downloaded"
_PROXY = "proxies are the operator's to set"
_ASKED_PROXY = "a proxy for the image is asked for as build.proxy"
_ASKED_KEYS = "ssh keys for the image are asked for as build.ssh_keys"

_REFUSED_NAMES = tuple(
    (re.compile(pattern, re.IGNORECASE), why)
    for pattern, why in (
        (r"(PATH|ENV|IFS|PS\d|HOME|SHELL|USER|CDPATH|GLOBIGNORE)", _SHELL),
        (r"(LD|LC|PYTHON|PERL|GIT|BASH|SHELLOPTS)\w*", _SHELL),
        (r"break.*", _SHELL),
        (r"DIB_LOCAL_CONFIG_(HTTPS?|NO)_PROXY", _ASKED_PROXY),
        (r"DIB_LOCAL_CONFIG_SSH_KEYS", _ASKED_KEYS),
        (r".*_PROXY", _PROXY),
        (r"(TMPDIR|TMP_\w*|_LIB|ELEMENTS_PATH|RUN_PARTS_REGEX)", _OURS),
        (
            r"DIB_(ARGS|ENV|IMAGE_CACHE|LOCKFILES|IMAGE_SIZE|CHECKSUM|"
            r"ROOT_LABEL|ROOT_FSTYPE|BOOT_LABEL|MOUNTPOINTS|BLOCK_DEVICE|"
            r"BLOCK_DEVICE_\w+|NO_TMPFS|MIN_TMPFS|OFFLINE|HOOKS|QUIET)",
            _OURS,
        ),
        (
            r"DIB_(LOCAL_IMAGE|APT_CONF|APT_SOURCES|APT_KEYRING|"
            r"DEBIAN_KEYRING|ADD_APT_KEYS|RPM_GPG_KEYS|RPM_KEY_NAMES|"
            r"YUM_REPO_CONF|YUM_MINIMAL_(BOOTSTRAP|EXTRA)_REPOS|"
            r"YUM_UPDATES_CONF|"
            r"CLOUD_IMAGE_KEY(RING|_NAMES)|DEB_UPDATES_CONF|DPKG_MANIFEST|"
            r"DEV_USER_AUTHORIZED_KEYS|"
            r"FAIL2BAN_CONF|ELEMENT_MANIFEST_PATH|MANIFEST_\w+_DIR|"
            r"LIB_UDEV_ROOT|MODULE_ROOT|CONTAINER_CONTEXT|\w+_LOGGING_\w+)",
            _HOST,
        ),
        (
            r"\w*_(COMMANDS?|CMDS?|EXEC|BIN|HOOKS?|SCRIPT|RUNTIME|OPTS|"
            r"OPTIONS|EXTRA_ARGS|BUILDOPTS|DOCKERFILE|RUNTIME_ROOT)",
            _PROGRAM,
        ),
        (
            r"\w*(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|"
            r"PRIVATE_KEY|API_KEY|ACTIVATION_KEY|SAT_KEY)\w*",
            _BAKED_IN,
        ),
        (r"DIB_(REPOLOCATION|REPOTYPE)_\w+|DIB_GITREPOBASE", _SOURCE),
        (
            r"\w*_(INSECURE|VERIFY_HTTPS|UNAUTHENTICATED)|"
            r"DIB_CLOUD_IMAGE_SHA256",
            _TRUST,
        ),
    )
)

_SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|"
    # Tokens of Keystone (Fernet), JWT, AWS, GitHub, GitLab, Slack.
    r"\bgAAAAA[\w-]{20,}|\beyJ[\w-]{8,}\.eyJ|\bAKIA[0-9A-Z]{16}\b|"
    r"\bgh[opsur]_\w{30,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|"
    r"\bxox[abprs]-[\w-]{10,}|"
    # A password in an address.
    r"://[^/\s:@]*:[^/\s@]+@"
)
_COMMAND = re.compile(r"\$\(|`|\$\{")
_UNTRUSTED = re.compile(
    r"trusted\s*=\s*yes|allow-insecure\s*=\s*yes|gpgcheck\s*=\s*(0|no|false)",
    re.IGNORECASE,
)
# A shell that splits the value into words does not see the blanks.
_HOST_FILE = re.compile(r"\s*([/~]|file:)", re.IGNORECASE)
# This is a switch, and holds no password.
_NO_SECRETS = frozenset({"DIB_OPENSSH_SERVER_PASSWORDS"})
# These are about files in the image.
_IN_THE_IMAGE = frozenset(
    {
        "DIB_DEV_USER_SHELL",
        "DIB_GROWVOLS_ARGS",
        "DIB_GROWVOLS_DEVICE",
    }
)

_KERNEL_NAMES = re.compile(r"\w*_CMDLINE(_ARGS)?")
_KERNEL_VALUE = re.compile(r"[A-Za-z0-9 _.,:=/@+%*-]*")


def check(
    environment: Mapping[str, str], *, extra: Collection[str] = ()
) -> None:
    """Let an environment pass; ``extra`` are names that the operator allows.

    :raises BadRequest: naming the first variable that may not be, and why.
    """
    for name, value in environment.items():
        _check_name(name, extra)
        _check_value(name, value)


def _check_name(name: str, extra: Collection[str]) -> None:
    field = f"build.environment.{faults.shortened(name)}"
    # Patterns may look at each character again for each one before it.
    if len(name) > NAME_LENGTH:
        raise faults.refusal(
            field, f"at most {NAME_LENGTH} characters are allowed in a name"
        )
    if name in _NO_SECRETS:
        return
    for pattern, why in _REFUSED_NAMES:
        if pattern.fullmatch(name):
            raise faults.refusal(field, f"may not be set: {why}")
    if name in ALLOWED or name in extra:
        return
    if _NAME.fullmatch(name) or _NAMED_AFTER.fullmatch(name):
        return
    raise faults.refusal(
        field,
        "may not be set: a name is DIB_ followed by A-Z, 0-9 and _, or one "
        "that the operator allows",
    )


def _check_value(name: str, value: str) -> None:
    field = f"build.environment.{name}"
    # Patterns may look at each character again for each one before it. The
    # value may still be a secret, and so it is not repeated.
    if len(value.encode()) > VALUE_BYTES:
        raise faults.refusal(field, f"at most {VALUE_BYTES} bytes are allowed")
    # Before what repeats the value.
    if _SECRETS.search(value):
        raise faults.refusal(field, f"looks like a secret; {_BAKED_IN}")
    if text.has_control(value):
        raise faults.refusal(
            field,
            "line ends and other control characters are not allowed",
            value=value,
        )
    if _COMMAND.search(value):
        raise faults.refusal(
            field,
            "command substitution and expansion ($(, ${, `) are not allowed",
            value=value,
        )
    if _UNTRUSTED.search(value):
        raise faults.refusal(field, f"may not be: {_TRUST}", value=value)
    if _HOST_FILE.match(value) and name not in _IN_THE_IMAGE:
        raise faults.refusal(field, f"may not begin so: {_HOST}", value=value)
    if _KERNEL_NAMES.fullmatch(name) and not _KERNEL_VALUE.fullmatch(value):
        raise faults.refusal(
            field,
            "kernel arguments are ASCII letters, digits, spaces and "
            "_ . , : = / @ + % * -",
            value=value,
        )
