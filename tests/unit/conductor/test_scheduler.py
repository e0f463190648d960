"""Who comes first."""

import testtools

from dib_service.conductor import scheduler
from dib_service.objects import queue


def candidate(
    name: str,
    project: str = "p",
    last: str | None = None,
    ready: float = 0.0,
) -> queue.Candidate:
    return queue.Candidate(name, 0, project, last, ready)


def chosen(
    *candidates: queue.Candidate,
    running: dict[str, int] | None = None,
    others: tuple[str, ...] = (),
) -> str:
    return " ".join(
        one.build_id
        for one in scheduler.choose(
            candidates,
            running or {},
            builder_id="me",
            other_builders=others,
            other_host_seconds=30.0,
        )
    )


class ChooseTest(testtools.TestCase):
    """The order of a few candidates, the oldest given first."""

    def test_the_oldest_comes_first(self) -> None:
        self.assertEqual("a b c", chosen(*map(candidate, "abc")))

    def test_a_project_with_less_running_comes_first(self) -> None:
        self.assertEqual(
            "c a b",
            chosen(
                candidate("a", "big"),
                candidate("b", "big"),
                candidate("c", "small"),
                running={"big": 2, "small": 1},
            ),
        )

    def test_what_failed_here_comes_last(self) -> None:
        self.assertEqual(
            "b a", chosen(candidate("a", last="me"), candidate("b"))
        )

    def test_what_failed_here_is_left_to_another_for_a_while(self) -> None:
        for ready, expected in ((0.0, "b"), (31.0, "b a")):
            self.assertEqual(
                expected,
                chosen(
                    candidate("a", last="me", ready=ready),
                    candidate("b", last="you"),
                    others=("me", "you"),
                ),
            )

    def test_without_another_it_is_not_left(self) -> None:
        self.assertEqual(
            "a", chosen(candidate("a", last="me"), others=("me",))
        )
