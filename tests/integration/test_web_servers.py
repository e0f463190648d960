"""The examples for uwsgi, nginx and Apache, in front of the real service."""

import contextlib
import pathlib
import tempfile
from typing import ClassVar

from keystoneauth1 import adapter, session
import requests

from tests.integration import service_case, web
from tools.lab import accounts, daemon

REGION = {"nginx": "BehindNginx", "apache2": "BehindApache"}


class WebServersTest(service_case.ServiceCase):
    """Each server, asked over TLS by the real client."""

    urls: ClassVar[dict[str, str]]
    cafile: ClassVar[pathlib.Path]

    @classmethod
    def start_service(cls) -> None:
        """All in one for the builds, and the API a second time in uwsgi."""
        super().start_service()
        folder = pathlib.Path(
            cls.enterClassContext(
                tempfile.TemporaryDirectory(prefix="dib-web-")
            )
        )
        folder.chmod(0o755)
        uwsgi = web.Uwsgi(
            folder, config=cls.service.path, commands=service_case.BIN
        )
        cls.addClassCleanup(uwsgi.daemon.stop)
        uwsgi.start()
        cls.cafile, _ = web.certificate(folder)
        cls.urls = {}
        for name, make in web.SERVERS.items():
            port = daemon.free_port()
            (folder / name).mkdir()
            server = make(folder / name, uwsgi, port=port, cafile=cls.cafile)
            cls.addClassCleanup(server.stop)
            server.start()
            url = f"https://127.0.0.1:{port}"
            server.wait_until(lambda url=url: cls.healthy(url))
            cls.urls[name] = url
            cls.announce(REGION[name], url)

    @classmethod
    def announce(cls, region: str, url: str) -> None:
        """An endpoint in the catalog, in a region of its own."""
        with cls.connect("admin") as cloud:
            identity = cloud.identity
            service = next(identity.services(type=accounts.SERVICE_TYPE))
            if not list(identity.regions(id=region)):
                identity.create_region(id=region)
            made = identity.create_endpoint(
                service_id=service.id,
                interface="public",
                region_id=region,
                url=url,
            )
        cls.addClassCleanup(cls.withdraw, made.id)

    @classmethod
    def withdraw(cls, endpoint_id: str) -> None:
        """The catalog is as it was."""
        with cls.connect("admin") as cloud:
            cloud.identity.delete_endpoint(endpoint_id)

    @classmethod
    def healthy(cls, url: str) -> bool:
        """What a load balancer would see."""
        with contextlib.suppress(requests.RequestException):
            answer = requests.get(
                f"{url}/healthcheck", verify=str(cls.cafile), timeout=10
            )
            return answer.status_code == 200
        return False

    def test_the_client_asks_for_a_build_and_reads_its_log(self) -> None:
        for name in web.SERVERS:
            with self.subTest(name):
                made = self.openstack_behind(
                    name,
                    *("image", "build", "create", f"by-{name}"),
                    *("--element", "tiny", "--skip-base", "--wait"),
                    *("--no-boot-test", "-f", "json"),
                )
                self.assertEqual("complete", made["state"], made)
                rows = self.openstack_behind(
                    name, "image", "build", "list", "-f", "json"
                )
                self.assertIn(made["id"], [row["ID"] for row in rows])
                log = self.behind(name).get(f"/v1/builds/{made['id']}/log")
                self.assertIn("root.d", log.text)

    def test_links_lead_back_to_the_server(self) -> None:
        for name, url in self.urls.items():
            with self.subTest(name):
                (version,) = self.behind(name).get("/").json()["versions"]
                self.assertEqual(f"{url}/v1/", version["links"][0]["href"])

    def test_answers_are_the_services_own(self) -> None:
        # Its refusals too: no page of a web server's.
        build_id = self.create(**service_case.TINY)
        for name in web.SERVERS:
            for path, status in (
                (f"/v1/builds/{build_id}", 200),
                (f"/v1/builds/{build_id}/log?offset={2**40}", 200),
                (f"/v1/builds/{build_id}/log?offset=-1", 400),
                ("/v1/builds?name=a%2Fb%20c", 200),
                ("/v1/elements/no%20such", 404),
                ("/v1/nowhere", 404),
            ):
                with self.subTest(name, path=path):
                    answer = self.behind(name).get(path)
                    direct = self.api().get(path)
                    self.assertEqual(status, answer.status_code, answer.text)
                    self.assertEqual(status, direct.status_code)
                    for header in (
                        "content-type",
                        "x-log-next-offset",
                        "openstack-api-version",
                        "vary",
                    ):
                        self.assertEqual(
                            direct.headers.get(header),
                            answer.headers.get(header),
                            header,
                        )
        self.assert_complete(build_id)

    def test_a_request_larger_than_any_is_refused(self) -> None:
        for name, url in self.urls.items():
            with self.subTest(name):
                answer = requests.post(
                    f"{url}/v1/builds",
                    data=b"x" * 200_000,
                    headers={"Content-Type": "application/json"},
                    verify=str(self.cafile),
                    timeout=10,
                )
                self.assertEqual(413, answer.status_code, answer.text)

    def test_a_request_as_large_as_one_may_be_is_read(self) -> None:
        wanted = {
            **service_case.TINY,
            "environment": {f"DIB_{n}": "x" * 1000 for n in range(100)},
        }
        for name in web.SERVERS:
            with self.subTest(name):
                answer = self.behind(name).post(
                    "/v1/builds?dry_run=true", json={"build": wanted}
                )
                self.assertEqual(200, answer.status_code, answer.text)

    def test_headers_may_have_many_kilobytes(self) -> None:
        # The token alone, of some providers.
        for name, url in self.urls.items():
            with self.subTest(name):
                answer = requests.get(
                    f"{url}/v1/builds",
                    headers={"X-Auth-Token": "x" * 7000},
                    verify=str(self.cafile),
                    timeout=10,
                )
                self.assertEqual(401, answer.status_code, answer.text)

    def test_one_connection_serves_many_requests(self) -> None:
        for name, url in self.urls.items():
            with self.subTest(name), requests.Session() as client:
                for _ in range(5):
                    client.get(url, verify=str(self.cafile)).raise_for_status()
                pools = client.get_adapter(url).poolmanager.pools
                (key,) = pools.keys()
                self.assertEqual(1, pools[key].num_connections)

    def behind(self, name: str) -> adapter.Adapter:
        """The API as a tenant's program sees it through that server."""
        return adapter.Adapter(
            session.Session(
                auth=self.connect().session.auth, verify=str(self.cafile)
            ),
            endpoint_override=self.urls[name],
            raise_exc=False,
        )

    def openstack_behind(self, name: str, *words: str) -> object:
        """What the real command answers through that server."""
        return self.openstack(
            *words,
            environment={
                "OS_REGION_NAME": REGION[name],
                "OS_CACERT": str(self.cafile),
            },
        )
