"""What the element local-config is told."""

import unittest

from dib_service.objects import local_config
from dib_service.objects.local_config import Proxy


class VariablesTest(unittest.TestCase):
    def test_what_was_asked_for(self) -> None:
        proxy = Proxy(
            http="http://a:1", https="http://b:2", no_proxy=("c", ".d")
        )
        self.assertEqual(
            {
                "DIB_LOCAL_CONFIG_HTTP_PROXY": "http://a:1",
                "DIB_LOCAL_CONFIG_HTTPS_PROXY": "http://b:2",
                "DIB_LOCAL_CONFIG_NO_PROXY": "c,.d",
                "DIB_LOCAL_CONFIG_SSH_KEYS": "one\ntwo",
            },
            local_config.variables(proxy, ("one", "two")),
        )

    def test_nothing_is_left_to_the_surroundings(self) -> None:
        found = local_config.variables(Proxy(), ())
        self.assertEqual(4, len(found))
        self.assertEqual({""}, set(found.values()))

    def test_a_proxy_is_stored_without_what_it_lacks(self) -> None:
        for proxy in (Proxy(), Proxy(https="x"), Proxy(no_proxy=("a",))):
            stored = proxy.to_dict()
            self.assertNotIn("http", stored)
            self.assertEqual(proxy, Proxy.from_dict(stored))
