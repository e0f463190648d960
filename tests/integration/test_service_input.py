"""What is wrong is said clearly and at once, and leaves nothing behind."""

from collections.abc import Mapping
import subprocess
from typing import Any, ClassVar

from tests.integration import service_case

TINY = service_case.TINY

# What is asked for, and words of the answer.
REFUSED: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {
    "an unknown element": (
        {"elements": ["debian", "no-such-element"]},
        ("no-such-element", "not found"),
    ),
    "no base distribution": (
        {"elements": ["vm"]},
        ("base distribution", "operating-system"),
    ),
    "two base distributions": (
        {"elements": ["debian", "tiny"]},
        ("operating-system", "debian", "tiny"),
    ),
    "an element's name that is a path": (
        {"elements": ["../../etc"]},
        ("elements",),
    ),
    "a forbidden variable": (
        {**TINY, "environment": {"LD_PRELOAD": "x.so"}},
        ("LD_PRELOAD",),
    ),
    "a variable with a secret in it": (
        {**TINY, "environment": {"DIB_PASSWORD": "hunter2"}},
        ("DIB_PASSWORD",),
    ),
    "an unsupported format": ({**TINY, "formats": ["vmdk"]}, ("vmdk",)),
    "an unsupported architecture": (
        {**TINY, "architecture": "vax"},
        ("architecture", "vax"),
    ),
    "an architecture without a builder": (
        {**TINY, "architecture": "aarch64"},
        ("builder", "x86_64"),
    ),
    "a disk of nothing": ({**TINY, "disk_size_gib": 0}, ("disk_size_gib",)),
    "a disk beyond every limit": (
        {**TINY, "disk_size_gib": 10**6},
        ("disk_size_gib",),
    ),
    "a reserved property": (
        {**TINY, "image": {"properties": {"owner": "me"}}},
        ("owner",),
    ),
    "a field that nobody knows": ({**TINY, "colour": "blue"}, ("colour",)),
    "no element at all": ({"elements": []}, ("elements",)),
}


class RefusedTest(service_case.ServiceCase):
    """Requests that the API does not take, and builds that fail."""

    def test_each_is_a_400_that_names_what_is_wrong(self) -> None:
        before = self.builds()
        for name, (wanted, words) in REFUSED.items():
            with self.subTest(name):
                answer = self.api().post(
                    "/v1/builds", json={"build": dict(wanted)}
                )
                self.assertEqual(400, answer.status_code, answer.text)
                for word in words:
                    self.assertIn(word, answer.text)
        self.assertEqual(before, self.builds())

    def test_public_images_are_not_for_everybody(self) -> None:
        wanted = {**TINY, "image": {"visibility": "public"}}
        answer = self.api().post("/v1/builds", json={"build": wanted})
        self.assertEqual(403, answer.status_code, answer.text)

    def test_a_malformed_env_never_leaves_the_client(self) -> None:
        said = self.openstack(
            *("image", "build", "create", "--element", "tiny"),
            *("--env", "no-equals-sign"),
            status=2,
        )
        self.assertIn("no-equals-sign", said)

    def test_a_hook_that_exits_non_zero(self) -> None:
        build_id = self.create(elements=["tiny", "breaks"], skip_base=True)
        fault = self.fault_of(build_id)
        self.assertEqual("breaks", fault["element"])
        self.assertEqual("install.d", fault["phase"])
        self.assertEqual("50-breaks", fault["hook"])
        self.assertEqual(22, fault["exit_code"])
        self.assertIn("breaks: no such package", fault["last_lines"])
        # It would fail again, and is not tried again.
        self.assertEqual(1, len(self.show(build_id)["attempts"]))

    def test_the_client_tells_which_hook_it_was(self) -> None:
        said = self.openstack(
            *("image", "build", "create", "--skip-base", "--wait"),
            *("--element", "tiny", "--element", "breaks"),
            status=1,
        )
        for words in ("breaks", "install.d", "50-breaks", "22"):
            self.assertIn(words, said)
        self.assertIn("breaks: no such package", said)

    def test_a_mirror_that_cannot_be_reached(self) -> None:
        build_id = self.create(
            elements=["debian"],
            environment={"DIB_DISTRIBUTION_MIRROR": "http://127.0.0.1:1/"},
        )
        fault = self.fault_of(build_id)
        self.assertEqual("root.d", fault["phase"])
        self.assertIn("127.0.0.1:1", " ".join(fault["last_lines"]))

    def test_a_disk_too_small_for_its_tree(self) -> None:
        build_id = self.create(
            elements=["tiny", "large"], skip_base=True, disk_size_gib=1
        )
        fault = self.fault_of(build_id)
        self.assertEqual("disk-too-small", fault["code"])
        self.assertEqual("caller", fault["turn"])

    def fault_of(self, build_id: str) -> dict[str, Any]:
        """Why the build failed; and it has left nothing behind."""
        build = self.wait_for(build_id)
        self.assertEqual("failed", build["state"], self.log(build_id))
        self.assert_nothing_left()
        fault: dict[str, Any] = build["fault"]
        return fault

    def builds(self) -> set[str]:
        """The ids of all builds of all projects."""
        answer = self.api("admin").get("/v1/builds?all_projects=true")
        self.assertEqual(200, answer.status_code, answer.text)
        return {str(row["id"]) for row in answer.json()["builds"]}


class GlanceDownTest(service_case.ServiceCase):
    """Glance goes away, for a while or for good."""

    changes: ClassVar = {
        "builder": {"upload_timeout": 20, "upload_pause": 1},
        "conductor": {"sweep_interval": 2},
    }

    def test_an_upload_waits_and_goes_on(self) -> None:
        self.cloud.glance.stop()
        try:
            build_id = self.create(**TINY)
            self.wait_for_log(build_id, "==> upload to glance: ")
        finally:
            self.cloud.glance.start()
        self.assert_complete(build_id)
        self.assert_nothing_left()

    def test_a_build_fails_when_it_does_not_come_back(self) -> None:
        self.cloud.glance.stop()
        try:
            build = self.wait_for(self.create(**TINY))
        finally:
            self.cloud.glance.start()
        self.assertEqual("failed", build["state"])
        self.assertEqual("publication-failed", build["fault"]["code"])
        self.assertEqual("operator", build["fault"]["turn"])
        self.assertEqual("upload", build["fault"]["targets"]["glance"]["code"])
        (publication,) = build["publications"]
        self.assertEqual("failed", publication["state"])
        self.assertEqual("upload", publication["fault"]["code"])
        self.assert_nothing_left()


class FullDiskTest(service_case.ServiceCase):
    """A builder whose disk is smaller than the build."""

    changes: ClassVar = {"conductor": {"max_attempts": 2, "retry_delay": 1}}

    @classmethod
    def start_service(cls) -> None:
        """With 64 MiB to build in."""
        state = cls.service.path / "builder"
        state.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64M", "tmpfs"]
        subprocess.run([*mount, str(state)], check=True)
        cls.addClassCleanup(subprocess.run, ["umount", str(state)], check=True)
        super().start_service()

    def test_the_fault_says_so(self) -> None:
        build_id = self.create(elements=["tiny", "large"], skip_base=True)
        build = self.wait_for(build_id)
        self.assertEqual("failed", build["state"], self.log(build_id))
        self.assertEqual("operator", build["fault"]["turn"])
        self.assertEqual("disk-full", build["fault"]["code"])
        self.assertIn("on the builder host", build["fault"]["message"])
        state = str(self.service.path / "builder")
        left = [x for x in self.left_over() if x != f"mount {state}"]
        self.assertEqual([], left)


class NoBuilderTest(service_case.ServiceCase):
    """A service to which no builder was ever enrolled."""

    @classmethod
    def start_service(cls) -> None:
        """The API alone."""
        process = cls.service.process("dib-api")
        cls.addClassCleanup(process.stop)
        process.start()
        cls.service.wait_until_ready(process)

    def test_the_answer_says_what_to_do(self) -> None:
        answer = self.api().post("/v1/builds", json={"build": dict(TINY)})
        self.assertEqual(503, answer.status_code, answer.text)
        self.assertIn("dib-manage builder enrol", answer.text)
