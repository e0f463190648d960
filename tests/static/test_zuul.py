"""What zuul runs is what there is here."""

import configparser
import pathlib
import re
from typing import Any
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]


class ZuulTest(unittest.TestCase):
    """The jobs of zuul.d/, against the files that they speak of."""

    def test_every_job_of_ours_is_used_and_every_used_one_is_known(
        self,
    ) -> None:
        ours = set(jobs())
        used = {
            name
            for pipeline in ("check", "gate")
            for name in project()[pipeline]["jobs"]
        }
        self.assertEqual(
            ours, {name for name in used if name.startswith("dib-service")}
        )

    def test_tox_has_their_environments(self) -> None:
        tox = configparser.ConfigParser(interpolation=None)
        tox.read(ROOT / "tox.ini")
        for name in ("pep8", "functional", "docs", "releasenotes"):
            self.assertIn(f"testenv:{name}", tox.sections())

    def test_tempest_runs_our_tests_and_no_others(self) -> None:
        wanted = re.compile(tempest()["tempest_test_regex"])
        for file in (ROOT / "dib_service/tempest_plugin/tests").rglob(
            "test_*.py"
        ):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            self.assertRegex(name, wanted)
        self.assertNotRegex("tempest.api.image.v2.test_images", wanted)

    def test_devstack_has_our_services(self) -> None:
        settings = (ROOT / "devstack/settings").read_text()
        for name, wanted in tempest()["devstack_services"].items():
            if name.startswith("dib-"):
                self.assertTrue(wanted, name)
                self.assertIn(name, settings)

    def test_the_options_of_tempest_are_the_plugins(self) -> None:
        config = (ROOT / "dib_service/tempest_plugin/config.py").read_text()
        known = set(re.findall(r'Opt\(\s*"(\w+)"', config))
        (file,) = tempest()["devstack_local_conf"]["test-config"].values()
        self.assertLessEqual(set(file["image_build"]), known)
        self.assertIn("image_build", file["service_available"])
        self.assertIn("image_build", known)


def jobs() -> dict[str, dict[str, Any]]:
    """Our jobs, by name."""
    return {item["job"]["name"]: item["job"] for item in load("jobs.yaml")}


def tempest() -> dict[str, Any]:
    """The variables of the job that runs tempest."""
    found: dict[str, Any] = jobs()["dib-service-tempest"]["vars"]
    return found


def project() -> dict[str, Any]:
    """What runs when."""
    (item,) = load("project.yaml")
    found: dict[str, Any] = item["project"]
    return found


def load(name: str) -> list[dict[str, Any]]:
    """A file of zuul.d/."""
    found: list[dict[str, Any]] = yaml.safe_load(
        (ROOT / "zuul.d" / name).read_text()
    )
    return found
