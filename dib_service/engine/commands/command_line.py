"""disk-image-create's options: each of them sets one of its variables.

So a setting has one name whether it comes from the command line or from the
environment, hooks find it under that name, and the option wins.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import getopt
import textwrap
from typing import Literal, Self

from dib_service.engine import errors


@dataclasses.dataclass(frozen=True)
class Option:
    """An option and its variable; without ``metavar`` it takes no value.

    A flag sets ``value``. Where an option may be repeated, ``repeated`` says
    whether its values are joined or its occurrences counted. The caller's
    own variable stands where it is ``inherited`` and the option not given.
    """

    name: str
    variable: str
    help: str
    metavar: str = ""
    value: str = "1"
    repeated: Literal["", "joined", "counted"] = ""
    inherited: bool = True

    def after(self, before: str, given: str) -> str:
        """The variable's value once the option was met."""
        if self.repeated == "counted":
            return str(int(before or 0) + 1)
        if self.repeated == "joined":
            return ",".join(filter(None, (before, given)))
        return given if self.metavar else self.value


OPTIONS = (
    Option(
        "-a",
        "ARCH",
        "architecture of the image: amd64, arm64 (this machine's)",
        "ARCH",
    ),
    Option(
        "-o",
        "IMAGE_NAME",
        "where the image goes, with or without its format's suffix (image)",
        "NAME",
    ),
    Option(
        "-t",
        "IMAGE_TYPES",
        "formats of the image, all made from one tree (qcow2)",
        "FORMAT[,FORMAT]",
        inherited=False,
    ),
    Option(
        "-x",
        "DIB_DEBUG_TRACE",
        "let hooks trace what they do; once more for more of it",
        repeated="counted",
    ),
    Option(
        "-u",
        "COMPRESS_IMAGE",
        "leave a qcow2 uncompressed: larger and faster",
        value="",
        inherited=False,
    ),
    Option("-c", "CLEAR_ENV", "keep your environment out of the build"),
    Option("-n", "SKIP_BASE", "leave the base element out"),
    Option(
        "-p",
        "INSTALL_PACKAGES",
        "install packages, when install.d has run; may be repeated",
        "PACKAGE[,PACKAGE]",
        repeated="joined",
        inherited=False,
    ),
    Option(
        "--checksum", "DIB_CHECKSUM", "write MD5 sums beside SHA-256 and -512"
    ),
    Option(
        "--image-size",
        "DIB_IMAGE_SIZE",
        "size of the whole disk, for example 2.5 (just enough)",
        "GIB",
    ),
    Option(
        "--image-extra-size",
        "DIB_IMAGE_EXTRA_SIZE",
        "room beside what the tree needs",
        "MIB",
    ),
    Option(
        "--mkfs-journal-size",
        "DIB_JOURNAL_SIZE",
        "size of the root filesystem's journal",
        "MIB",
    ),
    Option(
        "--image-cache",
        "DIB_IMAGE_CACHE",
        "what hooks keep for next time (~/.cache/image-create)",
        "DIRECTORY",
    ),
    Option(
        "--max-online-resize",
        "MAX_ONLINE_RESIZE",
        "blocks of 4 KiB that the root filesystem must be able to grow to",
        "BLOCKS",
    ),
    Option(
        "--mkfs-options",
        "MKFS_OPTS",
        "more options for the root filesystem's mkfs, as one word",
        "OPTIONS",
    ),
    Option(
        "--min-tmpfs",
        "DIB_MIN_TMPFS",
        "build in memory if twice as much of it is free",
        "GIB",
    ),
    Option("--no-tmpfs", "DIB_NO_TMPFS", "build on disk"),
    Option("--offline", "DIB_OFFLINE", "use what is in the cache as it is"),
    Option(
        "--qemu-img-options",
        "QEMU_IMG_OPTIONS",
        "options of the format, as qemu-img convert -o takes them",
        "NAME=VALUE[,…]",
    ),
    Option(
        "--root-label",
        "ROOT_LABEL",
        "label of the root filesystem (cloudimg-rootfs)",
        "LABEL",
    ),
    Option(
        "--ramdisk-element",
        "RAMDISK_ELEMENT",
        "what makes the ramdisk, for ramdisk-image-create (ramdisk)",
        "ELEMENT",
    ),
    Option(
        "--install-type",
        "DIB_DEFAULT_INSTALLTYPE",
        "how elements install what they can install in two ways (source)",
        "source|package",
    ),
    Option(
        "--boot-test",
        "DIB_BOOT_TEST",
        "start the finished image in a machine, and fail if it is not fit to "
        "be deployed",
    ),
    Option(
        "--docker-target",
        "DOCKER_TARGET",
        "repository and tag of a docker image",
        "TARGET",
        inherited=False,
    ),
    Option(
        "--logfile",
        "LOGFILE",
        "write the log there and not to the terminal",
        "FILE",
        inherited=False,
    ),
)

CLEAR = "CLEAR_ENV"
HELP = ("-h", "--help")
VERSION = "--version"
DROP_IN_PATH = "--drop-in-path"

VARIABLES = """\
Environment:
  ELEMENTS_PATH    directories of elements, the first one wins; this
                   program's own come last
  TMPDIR, TMP_DIR  where a directory for the build is made (/var/tmp)
  FS_TYPE, DIB_BLOCK_DEVICE_CONFIG, DIB_BLOCK_SIZE
                   what the disk is like
  DIB_QUIET=1      no log but that of --logfile; 0: in spite of --logfile
  DIB_NO_TIMESTAMP=1
                   a log without times
  DIB_SHOW_IMAGE_USAGE=1
                   say what takes the most room (DIB_SHOW_IMAGE_USAGE_FULL=1:
                   say it of everything)
  OVERWRITE_OLD_IMAGE=1
                   replace an image of the same name, do not rename it
  break=before-install,after-error
                   start break_cmd (bash) at these points
Each option stands for a variable; hooks find all of them.
"""


@dataclasses.dataclass(frozen=True)
class CommandLine:
    """What was asked for: settings by variable, elements, or another thing.

    ``instead`` is the option that asks for no image, or nothing.
    """

    settings: Mapping[str, str]
    elements: tuple[str, ...]
    instead: str = ""

    @classmethod
    def parse(
        cls, words: Sequence[str], environment: Mapping[str, str]
    ) -> Self:
        """Options and elements in any order, as getopt(1) reads them.

        :raises errors.SpecError: an option that there is not, or no element.
        """
        by_name = {option.name: option for option in OPTIONS}
        try:
            pairs, elements = getopt.gnu_getopt(list(words), *_rules())
        except getopt.GetoptError as exc:
            raise errors.SpecError("command line", exc.msg) from exc
        given: dict[str, str] = {}
        for name, value in pairs:
            if name in (*HELP, VERSION, DROP_IN_PATH):
                return cls({}, (), name)
            option = by_name[name]
            before = given.get(option.variable, "")
            given[option.variable] = option.after(before, value)
        if not elements:
            raise errors.SpecError("command line", "name an element")
        return cls(_settings(given, environment), tuple(elements))


def usage(name: str) -> str:
    """What --help says to somebody who called the program by this name."""
    lines = [
        f"Usage: {name} [OPTION]... ELEMENT...",
        "",
        "Build an image out of elements, of which one is a distribution.",
        "",
        "Options (and what holds without them):",
    ]
    for option in OPTIONS:
        lines += _explained(f"{option.name} {option.metavar}", option.help)
    lines += _explained("-h, --help", "say this")
    lines += _explained(VERSION, "say which version this is")
    lines += _explained(
        DROP_IN_PATH, "say where diskimage-builder's commands are, for PATH"
    )
    return "\n".join([*lines, "", VARIABLES])


def _explained(head: str, text: str) -> list[str]:
    return [
        f"  {head.rstrip()}",
        *textwrap.wrap(
            text, 76, initial_indent=" " * 6, subsequent_indent=" " * 6
        ),
    ]


def _rules() -> tuple[str, list[str]]:
    """The options in getopt's two languages."""
    short, long = "h", ["help", "version", DROP_IN_PATH.lstrip("-")]
    for option in OPTIONS:
        word = option.name.lstrip("-")
        if option.name.startswith("--"):
            long.append(word + "=" * bool(option.metavar))
        else:
            short += word + ":" * bool(option.metavar)
    return short, long


def _settings(
    given: Mapping[str, str], environment: Mapping[str, str]
) -> Mapping[str, str]:
    """All that is set; a -x adds to the trace that was there."""
    if "1" in (given.get(CLEAR), environment.get(CLEAR)):
        environment = {
            name: value
            for name, value in environment.items()
            if name == "HOME"
        }
    ours = {option.variable for option in OPTIONS if not option.inherited}
    around = {
        name: value for name, value in environment.items() if name not in ours
    }
    trace = around.get("DIB_DEBUG_TRACE", "0")
    if "DIB_DEBUG_TRACE" in given and trace.isdecimal():
        steps = int(given["DIB_DEBUG_TRACE"]) + int(trace)
        given = {**given, "DIB_DEBUG_TRACE": str(steps)}
    return {**around, **given}
