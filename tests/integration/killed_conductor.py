"""dib-conductor, which dies at one point of a publication.

    killed_conductor.py POINT --config-file FILE

POINT: checked, decided, given, shown or handed-over. SIGKILL comes right after
the step of that name, as it may from the kernel.
"""

import os
import signal
import sys
from typing import Any

from dib_service.cmd import conductor
from dib_service.conductor import publisher
from dib_service.publish import glance

STEPS = {
    "checked": (publisher, "check"),
    "decided": (publisher, "decide"),
    "given": (glance.Glance, "give"),
    "shown": (glance.Glance, "show"),
    "handed-over": (publisher, "hand_over"),
}


def main() -> None:
    """Run the conductor until its end."""
    die_after(*STEPS[sys.argv.pop(1)])
    conductor.main()


def die_after(place: Any, name: str) -> None:
    """Let the process be killed where that function would return."""
    step = getattr(place, name)

    def last(*args: Any, **kwargs: Any) -> None:
        step(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(place, name, last)


if __name__ == "__main__":
    main()
