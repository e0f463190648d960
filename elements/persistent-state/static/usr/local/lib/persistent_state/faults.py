"""What keeps a machine from having its state."""

import subprocess


class Fault(Exception):
    """``code`` is for programs; the message is for who reads the console."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def run(*argv: str, accept: tuple[int, ...] = (0,), stdin: str = "") -> str:
    """What a program prints.

    :raises Fault: it cannot be run, or exits with what is not in ``accept``.
    """
    try:
        # Names and labels are in whatever encoding, and go back as they are.
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except OSError as exc:
        raise Fault("program", f"{argv[0]}: {exc.strerror}") from exc
    if done.returncode not in accept:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise Fault(
            "program",
            f"{' '.join(argv)} exited {done.returncode}: {''.join(last)}",
        )
    return done.stdout


def exit_code(*argv: str) -> int:
    """How a program ends.

    :raises Fault: it cannot be run.
    """
    try:
        return subprocess.run(argv, capture_output=True).returncode
    except OSError as exc:
        raise Fault("program", f"{argv[0]}: {exc.strerror}") from exc
