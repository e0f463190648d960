"""Which of the queued builds a builder is given first: no I/O here."""

from collections.abc import Collection, Mapping, Sequence

from dib_service.objects import queue


def choose(
    candidates: Sequence[queue.Candidate],
    running: Mapping[str, int],
    *,
    builder_id: str,
    other_builders: Collection[str],
    other_host_seconds: float,
) -> Sequence[queue.Candidate]:
    """The candidates that the builder may have, the best first.

    Projects with fewer running builds come first, so that nobody waits
    behind another's hundred; within them, the oldest. A build that this
    builder has tried already is left to another one for a while, if there is
    another one.
    """

    def rank(place: int) -> tuple[bool, int, int]:
        candidate = candidates[place]
        return (
            candidate.last_builder_id == builder_id,
            running.get(candidate.project_id, 0),
            place,
        )

    def left_to_others(candidate: queue.Candidate) -> bool:
        return (
            candidate.last_builder_id == builder_id
            and candidate.ready_seconds < other_host_seconds
            and any(other != builder_id for other in other_builders)
        )

    ranked = sorted(range(len(candidates)), key=rank)
    return [
        candidates[place]
        for place in ranked
        if not left_to_others(candidates[place])
    ]
