"""What a machine says on its serial line, and what is to be seen in it.

A stranger speaks: escape sequences are taken out, lines are cut, and after a
number of them nobody hears more; the end is kept for whoever asks why.
"""

import codecs
from collections import deque
from collections.abc import Callable, Sequence
import re
import threading
from typing import BinaryIO

# CSI, OSC, and the shorter ones; what follows a cut one is text like any.
ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|[()*+][0-9A-Za-z]|[@-Z\\^_=>78])"
)
# Where firmware goes to another place of the screen, another line begins.
MOVES = re.compile(r"\x1b\[\d*;\d*H")

SAYS = re.compile(r"\w")

LONGEST_LINE = 400
MOST_LINES = 5000
KEPT_LINES = 200
# What signs are looked for in, of the end.
RECENT = 8192
READ_BYTES = 4096

# What each machine says that will not come up: a code, what it means and
# the words for it. The first that is found is told.
SIGNS: Sequence[tuple[str, str, re.Pattern[str]]] = tuple(
    (code, problem, re.compile(pattern))
    for code, problem, pattern in (
        (
            "boot-no-loader",
            "the firmware refused the boot loader, which nobody it trusts "
            "has signed",
            r"BdsDxe: failed to load[^\n]*(?:Access Denied"
            r"|Security Violation)|Verification failed: \(0x1A\)",
        ),
        (
            "boot-no-loader",
            "the firmware found nothing to start on the disk",
            r"No bootable device|BdsDxe: No bootable option"
            r"|UEFI Interactive Shell|>>Start (?:PXE|HTTP) ",
        ),
        (
            "boot-loader",
            "the boot loader started and found nothing to go on with",
            r"grub rescue> *$|(?m:^grub> *$)|Minimal BASH-like line editing"
            r"|error: you need to load the kernel first",
        ),
        (
            "boot-no-root",
            "the kernel started and its initramfs found no root filesystem",
            r"ALERT!  \S+ does not exist|\(initramfs\) *$"
            r"|Gave up waiting for root file system device"
            r"|VFS: Unable to mount root fs|dracut-initqueue timeout",
        ),
        (
            "boot-kernel",
            "the kernel stopped: {0}",
            r"Kernel panic - not syncing: ([^\n]*)",
        ),
        (
            "boot-emergency",
            "systemd went into emergency mode",
            r"You are in emergency mode|Welcome to emergency mode"
            r"|Cannot open access to console, the root account is locked",
        ),
    )
)

# Of one job, and of one of several.
RUNNING = re.compile(
    r"(?:A (?:start|stop) job is running for |Job )(.+?)"
    r"(?:/(?:start|stop) running)? \("
)
# systemd says so twice a second for as long as it waits.
WAITS = re.compile(r"\[[ *]+\] .*(?:A \S+ job is running for|Job .* running)")
MOST_WAITS = 100
# What the kernel says when it starts the /init of a ramdisk, and how its own
# lines begin.
STARTED = "as init process"
KERNELS = re.compile(r"\[ *\d+\.\d{6}\] ")
FAILED = re.compile(r"\[[^]\n]*FAILED[^]\n]*\] Failed to start ([^\n]+)")


class Console:
    """One machine's words; ``feed`` takes them, any thread may ask."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._told = 0
        self._kept: deque[str] = deque(maxlen=KEPT_LINES)
        # A letter may come in two pieces.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._recent = ""
        self._waits: set[str] = set()
        self._started = self._spoken = False
        self._lock = threading.Lock()

    def listen(self, source: BinaryIO) -> None:
        """Feed what comes until it ends."""
        while data := source.read1(READ_BYTES):  # type: ignore[attr-defined]
            self.feed(data)

    def feed(self, data: bytes) -> None:
        """Take what the machine has said next."""
        with self._lock:
            text = self._rest + self._decoder.decode(data)
            text = MOVES.sub("\n", text)
            *lines, self._rest = re.split(r"[\r\n]+", text)
            # One that never ends its line is heard all the same.
            while len(self._rest) > LONGEST_LINE:
                lines.append(self._rest[:LONGEST_LINE])
                self._rest = self._rest[LONGEST_LINE:]
            for line in lines:
                self._take(clean(line))

    @property
    def init_speaks(self) -> bool:
        """Whether anybody but the kernel has spoken since it started /init."""
        with self._lock:
            rest = clean(self._rest)
            # Half a line of the kernel's is still the kernel's.
            prompt = self._started and rest and not rest.startswith("[")
            return self._spoken or bool(prompt)

    @property
    def text(self) -> str:
        """The end of what was said, as far as it is of any interest."""
        with self._lock:
            return self._recent + clean(self._rest)

    def tail(self, lines: int) -> list[str]:
        """The last lines."""
        with self._lock:
            last = clean(self._rest)
            return [*self._kept, *([last] if last else [])][-lines:]

    def _take(self, line: str) -> None:
        # Of a menu's frame nobody learns anything.
        if not SAYS.search(line):
            return
        if STARTED in line:
            self._started = True
        elif self._started and not KERNELS.match(line):
            self._spoken = True
        self._kept.append(line)
        self._recent = f"{self._recent}{line}\n"[-RECENT:]
        if self._is_known(line):
            return
        self._told += 1
        if self._told < MOST_LINES:
            self._say(line)
        elif self._told == MOST_LINES:
            self._say("… (it says more, which nobody keeps)")

    def _is_known(self, line: str) -> bool:
        """Whether it is what systemd has been waiting for already."""
        if not WAITS.match(line) or len(self._waits) > MOST_WAITS:
            return False
        about = re.sub(r"[\d*]|min", "", line)
        known = about in self._waits
        self._waits.add(about)
        return known


def clean(line: str) -> str:
    """A line as it can be shown anywhere."""
    plain = ESCAPES.sub("", line)
    shown = "".join(
        letter if letter.isprintable() else " " if letter == "\t" else ""
        for letter in plain
    )
    return shown.rstrip()[:LONGEST_LINE]


def sign(text: str) -> tuple[str, str] | None:
    """The code and the sentence of a machine that will not come up."""
    for code, problem, pattern in SIGNS:
        if found := pattern.search(text):
            return code, problem.format(*found.groups())
    return None


def waited_for(text: str) -> str:
    """The unit that systemd said last it waits for; "" if it did not."""
    found = RUNNING.findall(text)
    return found[-1].strip() if found else ""


def failures(text: str) -> list[str]:
    """What systemd said that did not start."""
    return [each.strip() for each in FAILED.findall(text)]
