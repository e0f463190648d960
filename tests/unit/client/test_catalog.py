"""The service is found in Keystone's catalog, by its type."""

import types
import unittest
import warnings

from keystoneauth1 import fixture
from openstack import config, connection, exceptions
import requests_mock

from dib_service.client import plugin
from tests.unit.client import fake

KEYSTONE = "http://keystone.test/v3"


class TestCatalog(unittest.TestCase):
    def setUp(self):
        quiet = warnings.catch_warnings()
        quiet.__enter__()
        self.addCleanup(quiet.__exit__, None, None, None)
        warnings.filterwarnings("ignore", module="openstack")
        self.mocker = requests_mock.Mocker()
        self.mocker.start()
        self.addCleanup(self.mocker.stop)
        self.api = fake.Api(self.mocker)
        self.token = fixture.V3Token(project_id="mine")
        self.mocker.get(KEYSTONE, json=fixture.DiscoveryList(KEYSTONE))
        self.mocker.post(
            f"{KEYSTONE}/auth/tokens",
            json=self.token,
            headers={"X-Subject-Token": fake.TOKEN},
        )

    def client(self):
        region = config.get_cloud_region(
            load_yaml_config=False,
            load_envvars=False,
            region_name="RegionOne",
            auth_type="v3password",
            auth={
                "auth_url": KEYSTONE,
                "username": "me",
                "password": "secret",
                "project_name": "mine",
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
        )
        return plugin.make_client(
            types.SimpleNamespace(
                sdk_connection=connection.Connection(config=region),
                _api_version={"image_build": "1"},
            )
        )

    def test_the_endpoint_and_the_token_are_keystones(self):
        for url in (fake.URL, f"{fake.URL}/v1"):
            with self.subTest(url):
                service = self.token.add_service("image-build")
                service.add_standard_endpoints(public=url, region="RegionOne")
                self.assertEqual([], list(self.client().builds()))
                self.assertEqual("GET /v1/builds", self.api.asked.pop())
                headers = self.api.headers.pop()
                self.assertEqual(fake.TOKEN, headers["X-Auth-Token"])
                self.token["token"]["catalog"].clear()

    def test_a_cloud_without_the_service_says_so(self):
        self.token.add_service("image").add_standard_endpoints(
            public="http://glance.test", region="RegionOne"
        )
        with self.assertRaisesRegex(
            exceptions.SDKException, "'image-build' is disabled"
        ):
            list(self.client().builds())
