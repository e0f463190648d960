"""Who asks, where nobody is asked who they are."""

from typing import Any
import unittest

from dib_service.api import auth


class NoAuthTest(unittest.TestCase):
    """Headers as they come, and as they go on."""

    def test_who_says_nothing_is_an_admin(self) -> None:
        environ = self.believed({})
        self.assertEqual("default", environ["HTTP_X_PROJECT_ID"])
        self.assertEqual("default", environ["HTTP_X_USER_ID"])
        self.assertEqual(
            "admin,manager,member,reader", environ["HTTP_X_ROLES"]
        )

    def test_roles_imply_what_keystone_makes_them_imply(self) -> None:
        for given, meant in (
            ("reader", "reader"),
            ("member", "member,reader"),
            ("Manager", "manager,member,reader"),
            ("service", "service"),
            ("", ""),
            (" member , artist", "member,artist,reader"),
        ):
            with self.subTest(given=given):
                environ = self.believed({"HTTP_X_ROLES": given})
                self.assertEqual(meant, environ["HTTP_X_ROLES"])

    def test_what_is_said_is_kept(self) -> None:
        environ = self.believed(
            {"HTTP_X_PROJECT_ID": "mine", "HTTP_X_USER_ID": "me"}
        )
        self.assertEqual("mine", environ["HTTP_X_PROJECT_ID"])
        self.assertEqual("me", environ["HTTP_X_USER_ID"])

    def believed(self, environ: dict[str, Any]) -> dict[str, Any]:
        """The environment as the application behind gets it."""
        seen: dict[str, Any] = {}

        def application(environ: Any, start_response: Any) -> list[bytes]:
            seen.update(environ)
            return []

        auth.NoAuth(application)(environ, lambda *args: lambda data: None)
        return seen
