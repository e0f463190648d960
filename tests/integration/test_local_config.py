"""Keys and a proxy of who asks are in the image, and nobody else's are."""

import pathlib
import subprocess
import tempfile
from typing import Any, ClassVar

from tests.integration import service_case, test_element_hooks

# What the builder host has of its own, and no image gets.
OPERATORS = "http://operators.example.com:8080"

TINY = ("--element", "tiny", "--element", "tiny-tools", "--skip-base")

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEM2Ne91Bm5PCiEDssNMA me\n"
CLOUD_CFG = """\
system_info:
  distro: debian
  default_user:
    name: debian
    lock_passwd: true
"""


class AskedTest(service_case.ServiceCase):
    changes: ClassVar = {
        "builder": {
            "engine_environment": f"http_proxy:{OPERATORS},"
            f"https_proxy:{OPERATORS}"
        }
    }

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        service_case.wait_for_elements(cls.cloud, "tiny-tools", "local-config")
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.place = pathlib.Path(holder.name)
        cls.keys = [cls.new_key(name) for name in ("one", "two")]

    place: ClassVar[pathlib.Path]
    keys: ClassVar[list[str]]

    @classmethod
    def new_key(cls, name: str) -> str:
        path = cls.place / name
        subprocess.run(
            [
                *("ssh-keygen", "-q", "-t", "ed25519", "-N", ""),
                *("-C", f"{name}@example.com", "-f", path),
            ],
            check=True,
        )
        return path.with_suffix(".pub").read_text().strip()

    def asked(self, *words: str) -> dict[str, Any]:
        """The build that a tenant asked for and waited for."""
        build: dict[str, Any] = self.openstack(
            *("image", "build", "create", *TINY, "--no-boot-test"),
            *("--format", "raw", "--wait", "-f", "json", *words),
        )
        self.assertEqual("complete", build["state"])
        return build

    def files(self, build: dict[str, Any]) -> dict[str, str]:
        """All of /etc in the image, by path."""
        (image_id,) = build["image_ids"]
        path = self.place / "image"
        with self.connect() as cloud:
            cloud.image.download_image(image_id, output=str(path), stream=True)
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            # The image is one ext4 filesystem.
            subprocess.run(
                ["debugfs", "-R", f"rdump /etc {root}", path],
                check=True,
                capture_output=True,
            )
            return {
                str(file.relative_to(root)): file.read_text()
                for file in (root / "etc").rglob("*")
                if file.is_file()
            }

    def test_what_a_tenant_asks_for_is_in_the_image(self) -> None:
        build = self.asked(
            *("--ssh-key", str(self.place / "one.pub")),
            *("--ssh-key", self.keys[1]),
            *("--proxy", "http://proxy.example.com:3128"),
            *("--no-proxy", "near.example.com", "--no-proxy", ".example.net"),
        )
        self.assertIn("local-config", build["elements"])
        files = self.files(build)
        self.assertEqual(
            [*self.keys],
            files["etc/ssh/authorized_keys.d/debian"].split("\n")[:-1],
        )
        line = (
            "AuthorizedKeysFile .ssh/authorized_keys "
            "/etc/ssh/authorized_keys.d/%u"
        )
        self.assertEqual(f"{line}\nUsePAM yes\n", files["etc/ssh/sshd_config"])
        self.assertIn(
            line, files["etc/ssh/sshd_config.d/00-local-config.conf"]
        )
        session = dict(
            line.split("=", 1)
            for line in files["etc/environment"].splitlines()
        )
        for name in ("http_proxy", "https_proxy"):
            for each in (name, name.upper()):
                self.assertEqual(
                    "http://proxy.example.com:3128", session[each]
                )
        for name in ("no_proxy", "NO_PROXY"):
            self.assertEqual(
                "localhost,127.0.0.1,::1,169.254.169.254,"
                "near.example.com,.example.net",
                session[name],
            )
        apt = "".join(
            text
            for name, text in sorted(files.items())
            if name.startswith("etc/apt/apt.conf.d")
        )
        self.assertEqual(
            'Acquire::http::Proxy::near.example.com "DIRECT";\n'
            'Acquire::https::Proxy::near.example.com "DIRECT";\n'
            'Acquire::http::Proxy "http://proxy.example.com:3128";\n'
            'Acquire::https::Proxy "http://proxy.example.com:3128";\n',
            apt,
        )
        self.assertEqual(
            "[main]\nproxy=http://proxy.example.com:3128\ngpgcheck=True\n",
            files["etc/dnf/dnf.conf"],
        )
        self.assertIn(
            'HTTP_PROXY="http://proxy.example.com:3128"\n',
            files["etc/sysconfig/proxy"],
        )
        self.assertNotIn(OPERATORS, str(files))

    def test_who_asks_for_nothing_gets_nothing_of_the_builders(self) -> None:
        files = self.files(self.asked("--element", "local-config"))
        self.assertNotIn(OPERATORS, str(files))
        self.assertNotIn("etc/environment", files)
        self.assertNotIn("authorized_keys", str(list(files)))

    def test_a_private_key_and_a_password_stay_with_the_client(self) -> None:
        said = self.openstack(
            *("image", "build", "create", *TINY),
            *("--ssh-key", str(self.place / "one")),
            status=2,
        )
        self.assertIn("is a private key", said)
        said = self.openstack(
            *("image", "build", "create", *TINY),
            *("--proxy", "http://me:hunter2@proxy.example.com"),
            status=2,
        )
        self.assertIn("user name or a password", said)
        self.assertNotIn("hunter2", said)


class HookTest(test_element_hooks.InsideCase):
    """What it makes of a tree."""

    programs = "bash dirname grep install sed"

    def setUp(self) -> None:
        super().setUp()
        (self.root / "etc/os-release").write_text("ID=rocky\n")

    def asked(self, *, direct: str = "", **environment: str) -> None:
        (self.root / "local-config-proxy").write_text(
            f"http://proxy.example.com:3128\n\n{direct}\n"
        )
        (self.root / "ssh-authorized-keys").write_text(KEY)
        self.inside(
            "local-config/finalise.d/75-local-config",
            DIB_LOCAL_CONFIG_SSH_KEYS=KEY,
            **environment,
        )

    def test_all_hosts_are_no_files_of_the_image(self) -> None:
        (self.root / "etc/apt").mkdir()
        self.asked(direct="*,near.example.com,.example.net,[::1]")
        self.assertEqual(
            'Acquire::http::Proxy::near.example.com "DIRECT";\n'
            'Acquire::https::Proxy::near.example.com "DIRECT";\n',
            self.text("etc/apt/apt.conf.d/02-no-proxy"),
        )

    def test_the_key_is_for_whom_the_clouds_is(self) -> None:
        keys = self.root / "etc/ssh/authorized_keys.d"
        self.asked()
        # Also where cloud-init was taken away, and left this.
        (self.root / "etc/cloud").mkdir()
        (self.root / "etc/cloud/cloud.cfg").write_text(CLOUD_CFG)
        self.asked()
        self.asked(DIB_METADATA_INIT_USER="light")
        self.assertEqual(
            {"debian", "light", "rocky"},
            {path.name for path in keys.iterdir()},
        )
        (keys / "debian").unlink()
        self.program("glean")
        self.asked()
        self.assertEqual(KEY, (keys / "root").read_text())
        self.assertFalse((keys / "debian").exists())
        self.program("cloud-init")
        self.asked()
        self.assertEqual(KEY, (keys / "debian").read_text())

    def program(self, name: str) -> None:
        path = self.root / "usr/bin" / name
        path.write_text("#!/bin/bash\n")
        path.chmod(0o755)
