"""The whole path on a real image, asked for without admin rights."""

from typing import ClassVar

from tests.integration import published, service_case
from tests.integration.published import Published


class ImageTest(service_case.ServiceCase):
    """What is there once ``openstack image build create --wait`` is back."""

    published: ClassVar[Published]

    @classmethod
    def setUpClass(cls) -> None:
        cls.published = published.debian()
        super().setUpClass()

    @classmethod
    def start_service(cls) -> None:
        """The service that has the build, again."""
        cls.service = cls.enterClassContext(published.service())

    def test_the_build_is_complete_after_one_attempt(self) -> None:
        build = self.show(self.published.build["id"])
        self.assertEqual("complete", build["state"])
        self.assertEqual(1, len(build["attempts"]))

    def test_the_list_shows_it(self) -> None:
        rows = self.openstack("image", "build", "list", "-f", "json")
        states = {row["ID"]: row["State"] for row in rows}
        self.assertEqual("complete", states[self.published.build["id"]])

    def test_the_image_is_active_and_the_askers(self) -> None:
        image = self.openstack("image", "show", self.image_id, "-f", "json")
        self.assertEqual("active", image["status"])
        self.assertEqual(self.published.project_id, image["owner"])
        self.assertEqual("private", image["visibility"])
        self.assertEqual("qcow2", image["disk_format"])

    def test_it_has_started_before_anybody_could_see_it(self) -> None:
        log = self.log(self.published.build["id"])
        for firmware in ("bios", "secure-boot"):
            self.assertIn(f"{firmware}: passed after", log)
            # The console, as it came.
            self.assertIn(f"{firmware} | ", log)
        image = self.openstack("image", "show", self.image_id, "-f", "json")
        self.assertEqual(
            "bios,secure-boot,config-drive",
            image["properties"]["dib_boot_tested"],
        )
        self.assertGreaterEqual(image["min_ram"], 512)

    def test_what_is_said_of_it_is_what_debian_is(self) -> None:
        image = self.openstack("image", "show", self.image_id, "-f", "json")
        said = image["properties"]
        for name, value in (
            ("img_type", "whole-disk"),
            ("os_distro", "debian"),
            ("os_admin_user", "debian"),
            ("img_config_drive", "optional"),
            ("dib_boot_modes", "bios,uefi"),
            ("dib_cloud_init_datasources", "ConfigDrive,OpenStack"),
            # It starts from either, has all it boots, and no guest's agent.
            ("hw_firmware_type", None),
            ("kernel_id", None),
            ("hw_qemu_guest_agent", None),
        ):
            self.assertEqual(value, said.get(name), name)
        self.assertRegex(said["os_version"], r"^\d+$")
        self.assertRegex(said["rootfs_uuid"], r"^[0-9a-f-]{36}$")

    def test_what_comes_down_is_what_was_built(self) -> None:
        (artefact,) = self.show(self.published.build["id"])["artefacts"]
        self.assertEqual(artefact["sha512"], self.published.sha512)
        self.assertEqual(artefact["size"], self.published.path.stat().st_size)

    def test_another_project_sees_neither(self) -> None:
        answer = self.api("other").get(
            f"/v1/builds/{self.published.build['id']}"
        )
        self.assertEqual(404, answer.status_code)
        for part in ("log", "events"):
            answer = self.api("other").get(
                f"/v1/builds/{self.published.build['id']}/{part}"
            )
            self.assertEqual(404, answer.status_code, part)
        self.assertEqual(404, self.glance_says("other", "GET"))

    def test_the_builders_upload_token_is_refused(self) -> None:
        for method in ("GET", "PATCH", "DELETE"):
            self.assertEqual(
                404, self.glance_says("dib-upload", method), method
            )
        self.assertEqual(200, self.glance_says("demo", "GET"))

    def test_the_log_names_every_phase_that_ran(self) -> None:
        log = self.log(self.published.build["id"])
        for phase in ("root.d", "install.d", "finalise.d"):
            self.assertIn(phase, log)

    def test_nothing_is_left(self) -> None:
        self.assert_nothing_left()

    @property
    def image_id(self) -> str:
        """The id of the image in Glance."""
        return str(self.published.build["image_ids"][0])

    def glance_says(self, user: str, method: str) -> int:
        """The status that this user's request about the image gets."""
        with self.connect(user) as cloud:
            answer = cloud.session.request(
                f"{self.cloud.glance.url}/v2/images/{self.image_id}",
                method,
                headers={
                    "Content-Type": (
                        "application/openstack-images-v2.1-json-patch"
                    )
                },
                json=(
                    [{"op": "replace", "path": "/name", "value": "mine"}]
                    if method == "PATCH"
                    else None
                ),
                raise_exc=False,
            )
            return int(answer.status_code)
