"""What a test can find, by code: whose turn it is and what they can do."""

from collections.abc import Iterable, Mapping
import json
from typing import Any

from dib_service.engine import errors

# Each is a heading of doc/source/user/boot-test.rst.
REMEDIES: Mapping[str, str] = {
    "boot-no-loader": (
        "include the 'vm' element, and look for what writes to the disk "
        "after its boot loader was installed"
    ),
    "boot-loader": (
        "look for what changes /boot, the boot loader's configuration or "
        "the EFI system partition after they were written"
    ),
    "boot-kernel": (
        "look at the console for the kernel's words, and at what changed "
        "the kernel, its initramfs or its arguments"
    ),
    "boot-no-root": (
        "the initramfs has to find the root by its label on any machine: "
        "look at root= and at what is in the initramfs"
    ),
    "boot-emergency": (
        "look at the console for the unit that failed; a line of /etc/fstab "
        "that cannot be mounted elsewhere is the usual reason"
    ),
    "boot-ended": "look at the console for who switched it off",
    "boot-no-login": (
        "the image has to take a key from the config drive into its default "
        "user: look at cloud-init, metadata-init or simple-init, sshd and "
        "the network"
    ),
    "boot-timeout": (
        "look at the end of the console for what it waits for; an operator "
        "whose builders are slow gives more with boot_test_timeout"
    ),
    "boot-cloud-init": (
        "look at what an element changed in /etc/cloud or in the modules "
        "that cloud-init runs"
    ),
    "boot-metadata-init": (
        "look at what an element changed in /etc/metadata-init.json, or at "
        "what runs before metadata-init-local.service"
    ),
    "boot-host-key": (
        "all machines would have one identity: remove what brings the key "
        "into the image, and include 'runtime-ssh-host-keys'"
    ),
    "boot-machine-id": (
        "all machines would have one identity: leave /etc/machine-id empty, "
        "as the 'sysprep' element does"
    ),
    "boot-root-not-grown": (
        "include 'cloud-init-growpart' or 'growroot', and leave the root "
        "the last partition"
    ),
    "boot-unit-hangs": (
        "let the unit end or time out, or do not let the boot wait for it"
    ),
    "boot-units-failed": (
        "mend or disable them: 'systemctl status' in a machine shows more"
    ),
    "boot-agent": (
        "look at the console for the agent's unit and for the network"
    ),
    "boot-ramdisk": "look at the console for what its /init did",
    "boot-config-drive": (
        "leave room for one more partition, or take a GPT (block-device-gpt, "
        "block-device-efi)"
    ),
    "boot-test-host": "this is a fault of the builder, not of the image",
}

OPERATORS = frozenset({"boot-test-host"})

# What is told through a pipe has to stay one line of process.stream, which
# cuts at 16 KiB; a letter that is not ASCII has up to 12 bytes there.
LONGEST_PROBLEM = 400
MOST_BYTES = 8 * 1024


class Found(Exception):
    """A machine does not do what it should; ``code`` is one of REMEDIES."""

    def __init__(
        self, code: str, problem: str, last_lines: Iterable[str] = ()
    ) -> None:
        super().__init__(problem)
        self.code = code
        self.problem = problem
        self.last_lines = list(last_lines)[-errors.LAST_LINES :]

    def to_dict(self) -> dict[str, Any]:
        """As it is told through a pipe: of many words the last."""
        lines = self.last_lines
        while len(json.dumps(lines)) > MOST_BYTES:
            lines = lines[1:]
        return {
            "code": self.code,
            "problem": self.problem[:LONGEST_PROBLEM],
            "last_lines": lines,
        }


def failed(
    code: str, problem: str, *, firmware: str, last_lines: Iterable[str]
) -> errors.BootFailed:
    """The fault of a build whose test has found that."""
    return errors.BootFailed(
        code,
        "operator" if code in OPERATORS else "element",
        f"{firmware}: {problem}" if firmware else problem,
        REMEDIES[code],
        firmware=firmware,
        last_lines=last_lines,
    )
