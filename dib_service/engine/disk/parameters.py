"""What hooks can read of the disk: the files that the contract promises.

DIB_BLOCK_DEVICE_PARAMS_YAML names the first of them; the last answers
``dib-block-device.py getval``.
"""

from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any

import yaml

from dib_service.engine.disk.layout import Layout

CONFIGURATION, PARAMETERS = "config.yaml", "params.yaml"
VALUES = "values.json"
VARIABLE = "DIB_BLOCK_DEVICE_PARAMS_YAML"

# The symbols of getval that hooks also have in a variable.
SYMBOLS = {
    "root-label": "DIB_ROOT_LABEL",
    "root-fstype": "DIB_ROOT_FSTYPE",
    "boot-label": "DIB_BOOT_LABEL",
    "mount-points": "DIB_MOUNTPOINTS",
    "image-block-device": "IMAGE_BLOCK_DEVICE",
    "image-block-devices": "IMAGE_BLOCK_DEVICES",
}


def write(
    directory: Path,
    layout: Layout,
    *,
    environment: Mapping[str, str],
    size: int | None = None,
    image: Path | None = None,
) -> dict[str, str]:
    """Write the files, or write them anew; the variable that names them.

    ``environment`` is what hooks have at that time, ``size`` that of the
    disk in bytes and ``image`` the file that it is in, once there are.
    """
    directory.mkdir(exist_ok=True)
    (directory / CONFIGURATION).write_text(layout.text)
    parameters = directory / PARAMETERS
    parameters.write_text(
        yaml.safe_dump(_parameters(directory, layout, environment, size))
    )
    values = {
        symbol: environment[variable]
        for symbol, variable in SYMBOLS.items()
        if variable in environment
    }
    if image:
        values["image-path"] = str(image)
    (directory / VALUES).write_text(json.dumps(values))
    return {VARIABLE: str(parameters)}


def _parameters(
    directory: Path,
    layout: Layout,
    environment: Mapping[str, str],
    size: int | None,
) -> dict[str, Any]:
    found = {
        "config": str(directory / CONFIGURATION),
        "image-dir": environment["TMP_IMAGE_DIR"],
        "root-fs-type": layout.root.type,
        "root-label": layout.root.label,
        "mount-base": environment["TMP_MOUNT_PATH"],
        "build-dir": environment["TMP_BUILD_DIR"],
    }
    if size:
        found["image-size"] = f"{size // 1024}KiB"
    if layout.root.options:
        found["root-fs-opts"] = " ".join(layout.root.options)
    return found
