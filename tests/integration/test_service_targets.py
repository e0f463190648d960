"""One build in three places: this cloud, another region, a directory."""

import json
import pathlib
import subprocess
from typing import Any, ClassVar

import yaml

from tests import lab
from tests.integration import service_case
from tools.lab import accounts
from tools.lab.glance import Glance

REGION = "RegionTwo"


class TargetsTest(service_case.ServiceCase):
    """A second region with a Glance of its own, and a folder."""

    west: ClassVar[Glance]
    folder: ClassVar[pathlib.Path]

    @classmethod
    def setUpClass(cls) -> None:
        """The targets come before the service that names them."""
        cloud = lab.cloud()
        cls.west = Glance(
            cloud.state,
            lab.services_venv(),
            cloud.keystone,
            name="glance-west",
        )
        accounts.make(
            cloud.state,
            cloud.keystone.auth_url,
            {"image": cls.west.url},
            users=(),
            region=REGION,
        )
        cls.addClassCleanup(cls.west.stop)
        cls.west.start()
        folder = cloud.state.path / "targets"
        folder.mkdir()
        clouds = folder / "clouds.yaml"
        clouds.write_text(
            yaml.safe_dump(
                {
                    "clouds": {
                        name: {
                            "auth": dict(cloud.account(name).auth()),
                            "region_name": REGION,
                        }
                        for name in ("dib", "dib-upload")
                    }
                }
            )
        )
        with cloud.account("other").connect() as other:
            owner = other.current_project_id
        cls.folder = folder / "web"
        cls.folder.mkdir()
        with cloud.account("dib").connect() as service:
            bare_metal = service.current_project_id
        cls.changes = {
            "builder": {"upload_timeout": 30, "upload_pause": 1},
            "conductor": {"sweep_interval": 2},
            "publish": {
                "targets": "glance,west,web",
                "bare_metal_project_id": bare_metal,
            },
            "publish:west": {
                "cloud": "dib",
                "upload_cloud": "dib-upload",
                "clouds_file": clouds,
                "owner_project_id": owner,
            },
            "publish:web": {
                "kind": "directory",
                "path": cls.folder,
                "url": "http://images.test",
            },
        }
        super().setUpClass()

    def test_a_build_is_published_in_all_of_them(self) -> None:
        build = self.assert_complete(
            self.create(
                **service_case.TINY,
                image={
                    "targets": ["glance", "west", "web"],
                    "visibility": "shared",
                    "members": ["baremetal"],
                    "protected": True,
                    "tags": ["blue"],
                },
            )
        )
        here, web, west = self.publications(build)
        (artefact,) = build["artefacts"]
        with self.connect() as demo:
            image = demo.image.get_image(here["image_id"])
            self.assertEqual(demo.current_project_id, image.owner)
            self.assertEqual(artefact["sha512"], image.hash_value)
            self.assertTrue(image.is_protected)
            self.assertIn("blue", image.tags)
        with self.connect("dib") as dib:
            member = dib.image.get_member(
                dib.current_project_id, here["image_id"]
            )
            self.assertEqual("accepted", member.status)
        self.assert_in_west(west["image_id"], artefact)
        place = self.folder / "images" / web["image_id"]
        subprocess.run(
            ["sha512sum", "--check", "--strict", "SHA512SUMS"],
            cwd=place,
            check=True,
        )
        self.assertIn(artefact["sha512"], (place / "SHA512SUMS").read_text())
        metadata = json.loads((place / "image.json").read_text())
        self.assertEqual(build["id"], metadata["dib_build_id"])
        self.assertEqual(
            f"http://images.test/{web['image_id']}/{metadata['file']}",
            web["location"],
        )
        self.assert_nothing_left()

    def test_a_region_that_is_down_undoes_no_other(self) -> None:
        self.west.stop()
        try:
            build = self.wait_for(
                self.create(
                    **service_case.TINY,
                    image={"targets": ["west", "web", "glance"]},
                )
            )
        finally:
            self.west.start()
        self.assertEqual("failed", build["state"])
        self.assertEqual("publication-failed", build["fault"]["code"])
        self.assertEqual(["west"], list(build["fault"]["targets"]))
        here, web, west = self.publications(build)
        self.assertEqual(
            ["published", "published", "failed"],
            [here["state"], web["state"], west["state"]],
        )
        self.assertEqual("upload", west["fault"]["code"])
        with self.connect() as demo:
            self.assertEqual(
                "active", demo.image.get_image(here["image_id"]).status
            )
        self.assertTrue((self.folder / "images" / web["image_id"]).is_dir())
        self.assertEqual(
            {here["image_id"], web["image_id"]}, set(build["image_ids"])
        )
        self.assert_nothing_left()

    def publications(self, build: dict[str, Any]) -> list[dict[str, Any]]:
        """In the order of their targets' names: glance, web, west."""
        found: list[dict[str, Any]] = build["publications"]
        self.assertEqual(
            ["glance", "web", "west"], [each["target"] for each in found]
        )
        return found

    def assert_in_west(self, image_id: str, artefact: dict[str, Any]) -> None:
        """The operator's project there has it, and this cloud does not."""
        with self.connect("other") as other:
            answer = other.session.get(f"{self.west.url}/v2/images/{image_id}")
            image = answer.json()
            self.assertEqual(other.current_project_id, image["owner"])
            self.assertEqual(artefact["sha512"], image["os_hash_value"])
            self.assertFalse(image["os_hidden"])
            answer = other.session.get(
                f"{self.cloud.glance.url}/v2/images/{image_id}",
                raise_exc=False,
            )
            self.assertEqual(404, answer.status_code)

    def left_over(self) -> list[str]:
        """Nothing in the staging of the directory either."""
        staged = (self.folder / "staging").iterdir()
        return [*super().left_over(), *(str(path) for path in staged)]
