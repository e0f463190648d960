"""Rights to upload: had from Keystone, and given back to it."""

import json
import pathlib

import fixtures
from keystoneauth1 import fixture as keystone_fixture
from keystoneauth1 import loading
from oslo_config import cfg
import requests_mock
import testtools

from dib_service.conductor import cloud
from dib_service.conf import glance, publish
from dib_service.publish import target

KEYSTONE = "http://keystone.test/identity"


class CloudTest(testtools.TestCase):
    """A Keystone in memory."""

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.mock = requests_mock.Mocker()
        self.mock.start()
        self.addCleanup(self.mock.stop)
        self.mock.get(
            KEYSTONE,
            json=keystone_fixture.DiscoveryList(KEYSTONE, v2=False),
        )
        token = keystone_fixture.V3Token()
        token.set_project_scope()
        token.add_service("image").add_standard_endpoints(
            public="http://glance.test"
        )
        self.mock.post(
            f"{KEYSTONE}/v3/auth/tokens",
            json=token,
            headers={"X-Subject-Token": "hunter2"},
        )
        options = cfg.ConfigOpts()
        glance.register_opts(options)
        publish.register_opts(options)
        for name, value in (
            ("auth_type", "password"),
            ("auth_section", None),
        ):
            options.set_override(name, value, group=glance.UPLOAD_GROUP)
        options.register_opts(
            loading.get_auth_plugin_conf_options("password"),
            group=glance.UPLOAD_GROUP,
        )
        for name, value in (
            ("auth_url", KEYSTONE),
            ("username", "dib-upload"),
            ("password", "secret"),
            ("user_domain_id", "default"),
            ("project_name", "staging"),
            ("project_domain_id", "default"),
        ):
            options.set_override(name, value, group=glance.UPLOAD_GROUP)
        self.options = options
        self.cloud = cloud.Cloud(options)
        self.target = self.cloud.target("glance")

    def test_a_right_is_given_back_by_itself(self) -> None:
        gone = self.mock.delete(f"{KEYSTONE}/v3/auth/tokens", status_code=204)
        right = self.target.right()
        self.assertEqual("http://glance.test", right.endpoint)
        asked = self.mock.call_count
        self.target.revoke(right.token)
        self.assertEqual(asked + 1, self.mock.call_count)
        for header in ("X-Auth-Token", "X-Subject-Token"):
            self.assertEqual("hunter2", gone.last_request.headers[header])

    def test_the_interface_that_devstack_writes_is_passed_over(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        file = folder / "dib-service.conf"
        file.write_text("[glance_upload]\ninterface = public\n")
        self.options(["--config-file", str(file)])
        right = self.cloud.target("glance").right()
        self.assertEqual("http://glance.test", right.endpoint)

    def test_a_keystone_that_is_down_is_no_fault(self) -> None:
        self.mock.delete(f"{KEYSTONE}/v3/auth/tokens", status_code=503)
        self.target.revoke("hunter2")
        self.assertIn("stays until its end", self.log.output)
        self.assertNotIn("hunter2", self.log.output)

    def test_an_entry_that_clouds_yaml_lacks_is_named(self) -> None:
        error = self.assertRaises(
            target.Misconfigured, self.elsewhere("clouds: {}").right
        )
        self.assertIn("west-uploader", str(error))

    def test_another_cloud_has_only_so_long_to_answer(self) -> None:
        entry = {
            "auth": {
                "auth_url": KEYSTONE,
                "username": "dib-upload",
                "password": "secret",
                "user_domain_id": "default",
                "project_name": "staging",
                "project_domain_id": "default",
            }
        }
        west = self.elsewhere(json.dumps({"clouds": {"west-uploader": entry}}))
        self.assertEqual("http://glance.test", west.right().endpoint)
        self.assertGreater(len(self.mock.request_history), 0)
        for request in self.mock.request_history:
            self.assertEqual(cloud.TIMEOUT_SECONDS, request.timeout)

    def elsewhere(self, clouds: str) -> target.Target:
        """A target that is another cloud, with that clouds.yaml."""
        file = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path, "clouds.yaml"
        )
        file.write_text(clouds)
        self.options.set_override("targets", ["glance", "west"], publish.GROUP)
        publish.options_of(self.options, "west")
        for name, value in (
            ("cloud", "west-publisher"),
            ("upload_cloud", "west-uploader"),
            ("clouds_file", str(file)),
            ("owner_project_id", "o" * 32),
        ):
            self.options.set_override(name, value, "publish:west")
        return self.cloud.target("west")
