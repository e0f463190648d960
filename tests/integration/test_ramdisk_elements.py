"""What the elements of ramdisks write into a tree, and beside it."""

from pathlib import Path

from tests.integration import test_element_hooks as hooks

EPEL = """[epel]
metalink=https://mirrors.example.org/metalink
#baseurl=https://download.example.org/pub/epel/9/Everything/x86_64/
enabled=1
"""

# Installs what it is asked for, as far as anybody here can see.
DNF = f"""#!/bin/bash
set -eu
echo "$*" >/dnf.asked
mkdir -p /etc/yum.repos.d
cat >/etc/yum.repos.d/epel.repo <<'REPO'
{EPEL}REPO
"""


class InTheTree(hooks.InsideCase):
    """Hooks that run in the chroot, with a shell and little else there."""

    programs = f"{hooks.PROGRAMS} cat dirname"

    def test_selinux_is_permissive_with_the_policy_that_is_there(self) -> None:
        hook = "selinux-permissive/pre-install.d/11-selinux-permissive"
        config = "etc/selinux/config"
        self.inside(hook)
        self.assertEqual(
            "SELINUX=permissive\nSELINUXTYPE=targeted\n", self.text(config)
        )
        (self.root / config).write_text("SELINUX=enforcing\nSELINUXTYPE=mls\n")
        self.inside(hook)
        self.assertEqual(
            "SELINUX=permissive\nSELINUXTYPE=mls\n", self.text(config)
        )

    def test_there_is_no_epel_for_debian(self) -> None:
        said = self.inside(
            "epel/pre-install.d/05-rpm-epel-release", DISTRO_NAME="debian"
        )
        self.assertEqual("There is no EPEL for debian\n", said)

    def test_epel_is_the_distributions_own_package(self) -> None:
        dnf = self.root / "usr/bin/dnf"
        dnf.write_text(DNF)
        dnf.chmod(0o755)
        for settings, repository in (
            ({}, EPEL),
            (
                {"DIB_EPEL_MIRROR": "http://m.example.org/a&b/"},
                "[epel]\nbaseurl=http://m.example.org/a&b/9/Everything/x86_64/"
                "\nenabled=1\n",
            ),
            ({"DIB_EPEL_DISABLED": "1"}, EPEL.replace("d=1", "d=0")),
        ):
            with self.subTest(settings):
                self.inside(
                    "epel/pre-install.d/05-rpm-epel-release",
                    DISTRO_NAME="rocky",
                    **settings,
                )
                self.assertEqual(
                    "install -y epel-release\n", self.text("dnf.asked")
                )
                self.assertEqual(
                    repository, self.text("etc/yum.repos.d/epel.repo")
                )

    def test_dhcp_is_for_whatever_manages_the_network(self) -> None:
        hook = "dhcp-all-interfaces/install.d/50-dhcp-all-interfaces"
        for name in ("etc/network", "etc/NetworkManager", "etc/dhcp"):
            (self.root / name).mkdir(parents=True)
        client = self.root / "etc/dhcp/dhclient.conf"
        client.write_text("timeout 300;\nretry 60;\n")
        self.inside(hook, DIB_INIT_SYSTEM="systemd", DIB_DHCP_TIMEOUT="50")
        self.assertEqual(
            "# timeout 300;\n# retry 60;\ntimeout 50;\n", client.read_text()
        )
        for name, said in (
            ("etc/NetworkManager/conf.d/00-main.conf", "dhcp-timeout=50\n"),
            ("etc/NetworkManager/conf.d/00-main.conf", "dhcp=internal\n"),
            ("etc/systemd/network/95-dhcp-all-interfaces.network", "=yes\n"),
            ("etc/udev/rules.d/99-dhcp-all-interfaces.rules", "dhcp-inter"),
            ("usr/lib/systemd/system/dhcp-interface@.service", "Sec=150\n"),
            ("usr/local/sbin/dhcp-all-interfaces.sh", "tries = 50;"),
        ):
            self.assertIn(said, self.text(name))
            self.assertNotIn("DIB_DHCP", self.text(name))

    def test_networkmanager_does_it_alone_if_told_so(self) -> None:
        (self.root / "etc/NetworkManager").mkdir()
        (self.root / "etc/network").mkdir()
        self.inside(
            "dhcp-all-interfaces/install.d/50-dhcp-all-interfaces",
            DIB_INIT_SYSTEM="systemd",
            DIB_DHCP_NETWORK_MANAGER_AUTO="true",
        )
        self.gone("etc/systemd/network", "usr/local/sbin", "etc/udev")

    def test_a_cloud_images_interfaces_are_forgotten(self) -> None:
        for name in ("ifcfg-lo", "ifcfg-eth0", "ifcfg-System_eth1"):
            self.write(f"etc/sysconfig/network-scripts/{name}")
        self.write("etc/network/interfaces", "etc/network/interfaces.d/eth0")
        self.inside(
            "dhcp-all-interfaces/install.d/60-remove-cloud-image-interfaces"
        )
        left = self.root / "etc/sysconfig/network-scripts"
        self.assertEqual(["ifcfg-lo"], [path.name for path in left.iterdir()])
        self.gone("etc/network/interfaces.d/eth0")
        self.assertIn("iface lo", self.text("etc/network/interfaces"))


class BesideTheTree(hooks.TreeCase):
    """Hooks that run on the builder host."""

    programs = f"{hooks.PROGRAMS} cat"

    def test_the_newest_kernel_and_its_ramdisk(self) -> None:
        for version in ("6.1.0-9", "6.1.0-10"):
            for name in ("vmlinuz", "initrd.img"):
                path = self.root / f"boot/{name}-{version}"
                path.parent.mkdir(exist_ok=True)
                path.write_text(f"{name} {version}")
                path.chmod(0o600)
        # A link of the tree is one within it.
        ramdisk = self.root / "boot/initrd.img-6.1.0-10"
        other = self.place / "ramdisk"
        other.write_text("the builder's")
        inside = self.root / str(other)[1:]
        inside.parent.mkdir(parents=True)
        ramdisk.rename(inside)
        (self.root / "boot/link").symlink_to(other)
        ramdisk.symlink_to("link")
        done = self.ended(
            "baremetal/cleanup.d/99-extract-kernel-and-ramdisk",
            IMAGE_NAME="my",
            _LIB=str(hooks.ELEMENTS.parent / "dib_service/engine/lib"),
        )
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        for name, said in (
            ("my.vmlinuz", "vmlinuz 6.1.0-10"),
            ("my.initrd", "initrd.img 6.1.0-10"),
        ):
            path = self.place / name
            self.assertEqual(said, path.read_text())
            self.assertEqual(0o644, path.stat().st_mode & 0o777)

    def mirror(self) -> tuple[Path, dict[str, str]]:
        """A mirror on the host, and the environment that leads to it."""
        mirror = self.place / "cache/pypi/mirror"
        mirror.mkdir(parents=True)
        (mirror / "package").write_text("x")
        return mirror, {
            "DIB_IMAGE_CACHE": str(self.place / "cache"),
            "TMP_HOOKS_PATH": str(self.place / "hooks"),
        }

    def test_no_mirror_over_a_place_of_the_builders(self) -> None:
        _, there = self.mirror()
        host = self.place / "host"
        (host / "pypi").mkdir(parents=True)
        (self.root / "tmp").symlink_to(host)
        done = self.ended("pypi/extra-data.d/00-pypi", **there)
        self.addCleanup(self.ended, "pypi/post-root.d/00-pypi", **there)
        self.assertEqual(1, done.returncode)
        self.assertIn("goes through a symlink", done.stderr)
        self.assertEqual([], list((host / "pypi").iterdir()))

    def test_a_mirror_of_the_host_is_seen_while_it_is_needed(self) -> None:
        mirror, there = self.mirror()
        place = self.root / "tmp/pypi"
        self.ended("pypi/extra-data.d/00-pypi", **there)
        try:
            self.assertEqual("x", (place / "package").read_text())
            settings = (self.place / "hooks/pypi/pip.conf").read_text()
            self.assertIn("extra-index-url = file:///tmp/pypi\n", settings)
        finally:
            self.ended("pypi/post-root.d/00-pypi", **there)
        self.assertFalse(place.exists())
        self.assertTrue((mirror / "package").exists())
