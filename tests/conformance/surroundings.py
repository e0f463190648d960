"""What a hook finds around it, on both sides, made comparable."""

import dataclasses
from pathlib import Path
import re
from typing import Self

from tests.conformance import peer, sides

OUTSIDE = (
    "root.d",
    "extra-data.d",
    "post-root.d",
    "block-device.d",
    "pre-finalise.d",
    "cleanup.d",
)
INSIDE = ("pre-install.d", "install.d", "post-install.d", "finalise.d")

# Variables that are not the same, and why that is right.
DIFFERENT = {
    "BASH_FUNC__ps4%%": "a helper of its own trace",
    "BASH_FUNC_die%%": "its own exits 0 where the command before did",
    "BASH_FUNC_get_image_element_array%%": "in the order of a Python set",
    "DIB_ARGS": "names the place of the image, which is each side's own",
    "DIB_BLOCK_DEVICE_PARAMS_YAML": "the state of its own block devices",
    "DIB_DEFAULT_INSTALLTYPE": "its environment.d has it from extra-data.d on",
    "DIB_ENV": "contains the other variables",
    "DIB_IMAGE_SIZE": "until block-device.d it is the request, in GiB",
    "DIB_PYTHON_EXEC": "each side's own Python",
    "DIB_RUN_MARKER": "tells the sides apart",
    "ELEMENTS_PATH": "each side's own elements are last",
    "IMAGE_ELEMENT": "in the order of a Python set",
    "IMAGE_NAME": "with the directory, to which ours is moved later",
    "IMAGE_TYPES": "no array can be exported, so it has it for itself",
    "IMAGE_TYPE": "always the default, whatever -t says",
    "LOGNAME": "of sudo",
    "OLDPWD": "of its shells",
    "OUT_IMAGE_PATH": "empty: it is exported before it is known",
    "PS4": "of its own trace",
    "PWD": "outside, the caller's directory, which ours shows elsewhere",
    "PYTHONPATH": "of the tests",
    "SHELL": "of sudo",
    "SHLVL": "of its shells",
    "SKIP_BASE": "a variable of its own program",
    "SUDO_COMMAND": "of sudo",
    "SUDO_GID": "of sudo",
    "SUDO_UID": "of sudo",
    "SUDO_USER": "of sudo",
    "TERM": "of sudo",
    "_": "of its shells",
    "_LIB": "each side's own libraries",
}
# Only here, by phase: its documentation has it, its code does not.
PROMISED = {"block-device.d": "TARGET_ROOT"}

# In the chroot it is "$PATH:/usr/local/sbin:…", with the dollar sign.
UNEXPANDED = "$PATH:"

FUNCTIONS = frozenset({"_ps4", "die", "get_image_element_array"})


@dataclasses.dataclass(frozen=True)
class Found:
    """What the recorder element wrote down in one phase."""

    variables: dict[str, str]
    facts: list[str]

    @classmethod
    def of(cls, side: sides.Side, tree: Path, phase: str) -> Self:
        place = tree / "var/records" if phase in INSIDE else side.records
        entries = (place / f"{phase}.env").read_text().split("\0")
        pairs = (entry.partition("=") for entry in entries if entry)
        return cls(
            {name: _neutral(side, value) for name, _, value in pairs},
            [
                _neutral(side, line)
                for line in (place / f"{phase}.facts").read_text().splitlines()
            ],
        )

    def comparable(self, phase: str) -> dict[str, str]:
        """The variables that should be the same on both sides."""
        return {
            name: value.removeprefix(UNEXPANDED)
            for name, value in self.variables.items()
            if name not in DIFFERENT and name != PROMISED.get(phase)
        }


def _neutral(side: sides.Side, text: str) -> str:
    """Text without what only tells one side or one run from another."""
    for pattern, word in (
        (r"/tmp/dib_build\.\w+", "/BUILD"),
        (r"/tmp/dib_image\.\w+", "/IMAGE"),
        (r"/tmp/dib-engine-\w+/dib_build\.[\w-]+", "/BUILD"),
        (r"/tmp/dib-engine-\w+/image", "/IMAGE"),
        # Where the caller's directory is seen, with all that is around it.
        (r"/tmp/dib-engine-\w+/layer/root", ""),
    ):
        text = re.sub(re.escape(str(side.place)) + pattern, word, text)
    return (
        text.replace(str(side.place), "SIDE")
        .replace(f"{peer.venv()}/bin:", "BIN:")
        .replace(f"{sides.OUR_BIN}:", "BIN:")
    )
