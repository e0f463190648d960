"""Logging of elements' programs: to stderr, which is the build's log."""

import json
import logging
import logging.config
import os
from pathlib import Path

CONFIGURATION = "DIB_PYTHON_LOGGING_CONFIG_FILE"


def setup() -> None:
    """Log as the environment says: DIB_DEBUG_TRACE, or a dictConfig file."""
    path = os.environ.get(CONFIGURATION)
    if path:
        logging.config.dictConfig(json.loads(Path(path).read_text()))
        return
    trace = int(os.environ.get("DIB_DEBUG_TRACE") or 0)
    logging.basicConfig(
        level=logging.DEBUG if trace > 0 else logging.INFO,
        format="%(levelname)s %(name)s [-] %(message)s",
    )
