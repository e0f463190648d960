"""A build's events as the log that a person reads."""

from dib_service.engine import events


def text(event: events.Event) -> str:
    """The lines for one event, each with its newline; may be none."""
    teller = _TELLERS.get(event.kind)
    return teller(event) if teller else ""


def _line(event: events.Event) -> str:
    return f"{event.facts.get('text', '')}\n"


def _phase(event: events.Event) -> str:
    facts = event.facts
    if facts.get("state") == "start":
        return f"\n==> {facts.get('phase')}\n"
    return f"==> {facts.get('phase')}: {_seconds(event)}\n"


def _hook(event: events.Event) -> str:
    facts = event.facts
    name = f"{facts.get('phase')}/{facts.get('hook')}"
    who = f"--- {name} of element {facts.get('element')}"
    if facts.get("state") == "start":
        return f"{who}\n"
    code = facts.get("exit_code")
    if code:
        return f"{who}: EXIT CODE {code} after {_seconds(event)}\n"
    return f"{who}: {_seconds(event)}\n"


def _artefact(event: events.Event) -> str:
    facts = event.facts
    return (
        f"==> artefact {facts.get('format')}: {facts.get('size')} bytes, "
        f"sha512 {facts.get('sha512')}\n"
    )


def _fault(event: events.Event) -> str:
    facts = event.facts
    rows = [f"\n*** FAILED: {facts.get('message')}"]
    rows.extend(
        f"***   {label}: {facts[key]}"
        for key, label in (
            ("element", "element"),
            ("phase", "phase"),
            ("hook", "hook"),
            ("exit_code", "exit code"),
            ("code", "fault"),
        )
        if facts.get(key) is not None
    )
    return "\n".join(rows) + "\n"


def _seconds(event: events.Event) -> str:
    seconds = event.facts.get("seconds")
    if not isinstance(seconds, int | float):
        return "done"
    return f"{seconds:.1f} s"


_TELLERS = {
    "line": _line,
    "phase": _phase,
    "hook": _hook,
    "artefact": _artefact,
    "fault": _fault,
}
