"""``dib-manage metadef load`` and a real Glance."""

import json
from typing import Any

from tests import lab
from tests.integration import service_case

FILE = lab.CHECKOUT / "etc/dib-service/metadefs/image-build.json"


class MetadefTest(service_case.ServiceCase):
    """The namespace, as a user of the cloud then finds it."""

    maxDiff = None

    @classmethod
    def start_service(cls) -> None:
        """Nothing of it: the command goes to Glance by itself."""

    def test_it_is_loaded_as_often_as_one_likes(self) -> None:
        for done in ("created", "unchanged"):
            said = self.service.manage("metadef", "load")
            self.assertEqual(f"OS::DIB::Build {done}\n", said)
        self.assert_loaded(self.wanted)
        # Another version of it: a property less, one that means another
        # thing; and back to ours.
        other = self.wanted
        del other["properties"]["dib_role"]
        other["properties"]["dib_version"]["title"] = "another"
        other["description"] = "another"
        file = self.service.path / "namespace.json"
        file.write_text(json.dumps(other))
        said = self.service.manage("metadef", "load", "--file", str(file))
        self.assertEqual("OS::DIB::Build updated\n", said)
        self.assert_loaded(other)
        said = self.service.manage("metadef", "load")
        self.assertEqual("OS::DIB::Build updated\n", said)
        self.assert_loaded(self.wanted)

    @property
    def wanted(self) -> dict[str, Any]:
        """What the file says."""
        data: dict[str, Any] = json.loads(FILE.read_text())
        return data

    def assert_loaded(self, wanted: dict[str, Any]) -> None:
        """A user finds that namespace, for images, and cannot change it."""
        url = f"{self.cloud.glance.url}/v2/metadefs/namespaces/OS::DIB::Build"
        with self.connect() as cloud:
            found = cloud.session.get(url).json()
            answer = cloud.session.delete(url, raise_exc=False)
        self.assertIn(answer.status_code, (403, 404))
        (row,) = found.pop("resource_type_associations")
        self.assertEqual("OS::Glance::Image", row["name"])
        # Glance keeps the name of one that was sent by itself in it, too.
        properties = {
            name: {k: v for k, v in facts.items() if k != "name"}
            for name, facts in found.pop("properties").items()
        }
        self.assertEqual(wanted["properties"], properties)
        for name in ("display_name", "description", "protected", "visibility"):
            self.assertEqual(wanted[name], found[name])
