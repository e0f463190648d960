"""An API that is away for a while is asked again, for a while."""

from keystoneauth1 import exceptions as ksa_exceptions
from openstack import exceptions

from dib_service.client import patience
from tests.unit.client import fake


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


class TestPatience(fake.unittest.TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[Exception] = []
        self.patience = patience.Patience(
            seconds=60.0,
            tell=self.told.append,
            sleep=self.clock.sleep,
            clock=self.clock,
        )
        self.answers: list[object] = []

    def question(self) -> object:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def test_an_answer_is_taken_at_once(self):
        self.answers = [1]
        self.assertEqual(1, self.patience.ask(self.question))
        self.assertEqual(0.0, self.clock.now)
        self.assertFalse(self.patience.tried)

    def test_outages_are_waited_out_with_growing_pauses(self):
        cut = ksa_exceptions.ConnectFailure("cut")
        odd = ksa_exceptions.UnknownConnectionError("half an answer", cut)
        self.answers = [cut, odd, ksa_exceptions.ConnectTimeout("slow"), 2]
        self.assertEqual(2, self.patience.ask(self.question))
        self.assertEqual(0.5 + 1.0 + 2.0, self.clock.now)
        self.assertEqual([cut, odd], self.told[:2])
        self.assertTrue(self.patience.tried)

    def test_a_gateway_without_a_service_is_an_outage(self):
        away = exceptions.HttpException("away")
        away.status_code = 503
        self.answers = [away, 3]
        self.assertEqual(3, self.patience.ask(self.question))

    def test_a_refusal_is_an_answer(self):
        self.answers = [exceptions.NotFoundException("no"), 4]
        with self.assertRaises(exceptions.NotFoundException):
            self.patience.ask(self.question)
        self.assertEqual([4], self.answers)

    def test_a_bad_certificate_is_an_answer(self):
        self.answers = [ksa_exceptions.SSLError("bad"), 5]
        with self.assertRaises(ksa_exceptions.SSLError):
            self.patience.ask(self.question)

    def test_it_ends(self):
        self.answers = [ksa_exceptions.ConnectFailure("cut")] * 99
        with self.assertRaises(ksa_exceptions.ConnectFailure):
            self.patience.ask(self.question)
        self.assertLess(self.clock.now, 60.0 + patience.LONGEST_PAUSE)

    def test_each_answer_starts_it_anew(self):
        cut = ksa_exceptions.ConnectFailure("cut")
        for _ in range(20):
            self.answers = [cut, cut, cut, cut, 6]
            self.assertEqual(6, self.patience.ask(self.question))
        self.assertGreater(self.clock.now, 60.0)
