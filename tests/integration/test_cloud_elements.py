"""What the elements of cloud images write into the tree that they found."""

import subprocess

from tests.integration import test_element_hooks as hooks

FEDORA = """\
[fedora]
#baseurl=http://download.example/pub/fedora/linux/releases/$releasever/os/
metalink=https://mirrors.example.org/metalink?repo=fedora-$releasever
gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-$releasever
"""
ROCKY = """\
[baseos]
mirrorlist=https://mirrors.example.org/mirrorlist?repo=BaseOS
#baseurl=http://dl.rockylinux.org/$contentdir/$releasever/BaseOS/os/
gpgcheck=1
"""
CENTOS = """\
[baseos]
metalink=https://mirrors.example.org/metalink?repo=centos-baseos-$stream&arch=$basearch&protocol=https
gpgcheck=1
repo_gpgcheck=0
[baseos-debug]
metalink=https://mirrors.example.org/metalink?repo=centos-baseos-debug-$stream&arch=$basearch
enabled=0
[extras-common]
metalink=https://mirrors.example.org/metalink?repo=centos-extras-sig-extras-common-9-stream
"""
SUSE = """\
[repo-oss]
baseurl=http://download.opensuse.org/distribution/leap/15.6/repo/oss/
gpgcheck=1
"""
MIRROR = "http://mirror.example.org/a"

MANAGER = """#!/bin/bash
echo "$*" >>/asked
case $1 in
    register) echo "hostname = satellite.example.org" >/etc/rhsm/rhsm.conf ;;
esac
"""
RHSM = "hostname = subscription.rhsm.redhat.com\n"
# What "dnf repolist" says.
DNF = """#!/bin/bash
[ "$*" = "--quiet repolist --enabled" ] || exit 1
echo "Not registered."
[ ! -e /repositories ] || cat /repositories
"""


class InTheImage(hooks.InsideCase):
    programs = f"{hooks.PROGRAMS} cat chmod cp grep mv touch xargs"

    def setUp(self) -> None:
        super().setUp()
        for name, text in (("subscription-manager", MANAGER), ("dnf", DNF)):
            program = self.root / "usr/bin" / name
            program.write_text(text)
            program.chmod(0o755)
        (self.root / "etc/rhsm").mkdir()
        (self.root / "etc/rhsm/rhsm.conf").write_text(RHSM)

    def lend(self, element: str, path: str, text: str, mirror: str) -> str:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return self.inside(
            "cloud-image/pre-install.d/01-lend-mirror",
            DIB_DISTRIBUTION_MIRROR=mirror,
            DIB_CLOUD_IMAGE_MIRRORED=self.mirrored(element),
            DIB_CLOUD_IMAGE_METALINKS=self.mirrored(element, "METALINKS"),
        )

    def mirrored(self, element: str, what: str = "MIRRORED") -> str:
        """What the element says that its mirrors are mirrors of."""
        [snippet] = (hooks.ELEMENTS / element / "environment.d").iterdir()
        return subprocess.run(
            [
                *("bash", "-euc"),
                f'. {snippet}; echo -n "${{DIB_CLOUD_IMAGE_{what}:-}}"',
            ],
            check=True,
            capture_output=True,
            text=True,
            env={
                "DIB_CLOUD_IMAGE_MACHINE": "x86_64",
                # Of those below it is CentOS's alone.
                "DIB_RELEASE": "9-stream",
            },
        ).stdout

    def test_a_mirror_is_lent_and_taken_back(self) -> None:
        for element, path, text, lent, cleanup in (
            (
                "fedora",
                "etc/yum.repos.d/fedora.repo",
                FEDORA,
                f"[fedora]\nbaseurl={MIRROR}/releases/$releasever/os/\n"
                "gpgcheck=1\n"
                "gpgkey=file:///etc/pki/rpm-gpg/"
                "RPM-GPG-KEY-fedora-$releasever\n",
                "yum/cleanup.d/90-yum-build-settings",
            ),
            (
                "rocky",
                "etc/yum.repos.d/rocky.repo",
                ROCKY,
                f"[baseos]\nbaseurl={MIRROR}/$releasever/BaseOS/os/\n"
                "gpgcheck=1\n",
                "yum/cleanup.d/90-yum-build-settings",
            ),
            (
                "centos",
                "etc/yum.repos.d/centos.repo",
                CENTOS,
                f"[baseos]\nbaseurl={MIRROR}/9-stream/BaseOS/$basearch/os\n"
                "gpgcheck=1\nrepo_gpgcheck=0\n[baseos-debug]\n"
                "metalink=https://mirrors.example.org/metalink?"
                "repo=centos-baseos-debug-$stream&arch=$basearch\n"
                "enabled=0\n[extras-common]\n"
                f"baseurl={MIRROR}/SIGs/9-stream/extras/$basearch/"
                "extras-common\n",
                "yum/cleanup.d/90-yum-build-settings",
            ),
            (
                "opensuse",
                "etc/zypp/repos.d/oss.repo",
                SUSE,
                f"[repo-oss]\nbaseurl={MIRROR}/distribution/leap/15.6/repo/"
                "oss/\ngpgcheck=1\n",
                "zypper/cleanup.d/90-zypper-build-settings",
            ),
        ):
            with self.subTest(element):
                self.lend(element, path, text, f"{MIRROR}/")
                directory, _, name = path.rpartition("/")
                self.assertEqual(lent, self.text(f"{directory}/dib-{name}"))
                self.gone(path)
                self.run_hook(cleanup)
                self.assertEqual(text, self.text(path))
                self.gone(f"{directory}/dib-{name}", f"{path}.dib-aside")

    def lend_the_host_s(self, **environment: str) -> None:
        """Have the repositories of a file of the host in the image."""
        host = self.place / "host.repo"
        host.write_text(FEDORA)
        done = self.ended(
            "yum/extra-data.d/14-repositories",
            TMP_HOOKS_PATH=str(hooks.ELEMENTS / "yum"),
            DIB_YUM_REPO_CONF=str(host),
            **environment,
        )
        self.assertEqual((0, ""), (done.returncode, done.stderr))

    def test_repositories_of_the_host_serve_the_build_alone(self) -> None:
        directory = self.root / "etc/yum.repos.d"
        # Also in an image that has no such directory yet.
        for there in (False, True):
            with self.subTest(there=there):
                if there:
                    (directory / "host.repo").write_text("its own")
                self.lend_the_host_s(DIB_RELEASE="9.4")
                held = self.text("etc/dnf/vars/releasever")
                self.assertEqual("9.4\n", held)
                # A mirror does not stand in for what the operator named.
                self.inside(
                    "cloud-image/pre-install.d/01-lend-mirror",
                    DIB_DISTRIBUTION_MIRROR=MIRROR,
                    DIB_CLOUD_IMAGE_MIRRORED=self.mirrored("fedora"),
                )
                lent = "etc/yum.repos.d/dib-host.repo"
                self.assertEqual(FEDORA, self.text(lent))
                self.run_hook("yum/cleanup.d/90-yum-build-settings")
                self.gone("etc/dnf/vars/releasever")
                self.assertEqual(
                    ["host.repo"] if there else [],
                    [path.name for path in directory.iterdir()],
                )

    def test_an_image_that_stays_at_a_release_does_so(self) -> None:
        held = self.root / "etc/dnf/vars/releasever"
        held.parent.mkdir(parents=True)
        held.write_text("9.2\n")
        self.lend_the_host_s(DIB_RELEASE="9.4")
        self.run_hook("yum/cleanup.d/90-yum-build-settings")
        self.assertEqual("9.2\n", held.read_text())

    def test_a_distribution_without_releases_holds_none(self) -> None:
        for release in ({}, {"DIB_RELEASE": "rawhide"}):
            self.lend_the_host_s(**release)
            self.gone("etc/dnf/vars/releasever")

    def test_a_repository_of_the_host_without_checks_is_refused(self) -> None:
        host = self.place / "host.repo"
        host.write_text(f"{FEDORA}\nsslverify=0\n")
        done = self.ended(
            "yum/extra-data.d/14-repositories",
            TMP_HOOKS_PATH=str(hooks.ELEMENTS / "yum"),
            DIB_YUM_REPO_CONF=str(host),
        )
        self.assertEqual(1, done.returncode)
        self.assertIn("turns the check", done.stderr)
        self.gone("etc/yum.repos.d")

    def test_somebody_elses_repository_is_left_alone(self) -> None:
        path = "etc/yum.repos.d/other.repo"
        text = "[x]\nbaseurl=https://other.example.org/pub/fedora/linux/\n"
        self.lend("fedora", path, text, MIRROR)
        self.assertEqual(text, self.text(path))

    def test_a_mirror_of_nothing_is_said_to_be_that(self) -> None:
        path = "etc/yum.repos.d/other.repo"
        for text, said in ((ROCKY, "stands for no repository"), (FEDORA, "")):
            with self.subTest(text):
                self.assertIn(said, self.lend("fedora", path, text, MIRROR))
        self.assertEqual("", self.lend("fedora", path, FEDORA, MIRROR))

    def test_what_is_mirrored_is_no_command(self) -> None:
        path = "etc/yum.repos.d/x.repo"
        (self.root / path).parent.mkdir(parents=True)
        (self.root / path).write_text(FEDORA)
        with self.assertRaisesRegex(AssertionError, "CLOUD_IMAGE_MIRRORED"):
            self.inside(
                "cloud-image/pre-install.d/01-lend-mirror",
                DIB_DISTRIBUTION_MIRROR=MIRROR,
                DIB_CLOUD_IMAGE_MIRRORED="https?://.*%s%a%;s/check=./check=0/;\\%x",
            )
        self.assertEqual(FEDORA, self.text(path))

    def test_ubuntus_own_hosts_are_mirrored_and_no_others(self) -> None:
        path = "etc/apt/sources.list.d/ubuntu.sources"
        self.write(path)
        for before, after in (
            (
                "URIs: http://archive.ubuntu.com/ubuntu/\nSuites: noble\n",
                f"URIs: {MIRROR}\nSuites: noble\n",
            ),
            (
                "URIs: http://de.archive.ubuntu.com/ubuntu"
                " https://ppa.example.org/ubuntu\n",
                f"URIs: {MIRROR} https://ppa.example.org/ubuntu\n",
            ),
            # The last line may have no end.
            (
                "deb http://ports.ubuntu.com/ubuntu-ports noble main",
                f"deb {MIRROR} noble main\n",
            ),
        ):
            with self.subTest(before):
                (self.root / path).write_text(before)
                self.inside(
                    "ubuntu/pre-install.d/01-set-ubuntu-mirror",
                    DIB_DISTRIBUTION_MIRROR=MIRROR,
                )
                self.assertEqual(after, self.text(path))

    def test_a_mirror_is_no_line_of_its_own(self) -> None:
        for mirror in (
            "http://x/\ngpgcheck=0",
            "x",
            "http://x/ y",
            "http://&",
        ):
            with self.subTest(mirror), self.assertRaises(AssertionError):
                self.lend("fedora", "etc/yum.repos.d/x.repo", FEDORA, mirror)
            self.assertEqual(FEDORA, self.text("etc/yum.repos.d/x.repo"))

    def test_cloud_init_keeps_hosts_as_it_is_asked_to(self) -> None:
        path = "etc/cloud/cloud.cfg.d/10_etc_hosts.cfg"
        for environment, said in (
            ({}, "manage_etc_hosts: localhost\n"),
            ({"DIB_CLOUD_INIT_ETC_HOSTS": "true"}, "manage_etc_hosts: true\n"),
            # As with diskimage-builder: it is cloud-init's affair.
            ({"DIB_CLOUD_INIT_ETC_HOSTS": ""}, "x"),
        ):
            with self.subTest(environment):
                self.write(path)
                self.inside("base/install.d/10-cloud-init", **environment)
                self.assertEqual(said, self.text(path))

    def test_the_menu_is_not_that_of_the_disk_it_came_on(self) -> None:
        uuid = "etc/default/grub.d/40-force-partuuid.cfg"
        self.write(uuid, "etc/default/grub.d/60-mine.cfg", "boot/grub2/x")
        grub = self.root / "etc/default/grub"
        grub.write_text("GRUB_TIMEOUT=1\nGRUB_ENABLE_BLSCFG=true\n")
        link = self.root / "boot/grub2/grubenv"
        link.symlink_to("../efi/EFI/fedora/grubenv")
        self.inside("cloud-image/finalise.d/40-menu")
        self.gone(uuid)
        self.assertTrue(
            (self.root / "etc/default/grub.d/60-mine.cfg").exists()
        )
        self.assertFalse(link.is_symlink())
        self.assertEqual(
            "GRUB_TIMEOUT=1\nGRUB_ENABLE_BLSCFG=false\n", grub.read_text()
        )
        plugin = self.root / "etc/kernel/install.d/95-dib-menu.install"
        self.assertEqual(0o755, plugin.stat().st_mode & 0o777)

    def test_a_menu_that_is_made_anew_anyway_is_left_alone(self) -> None:
        self.write("etc/default/grub")
        self.inside("cloud-image/finalise.d/40-menu")
        self.assertEqual("x", self.text("etc/default/grub"))
        self.gone("etc/kernel")

    def test_the_key_manager_has_two_names(self) -> None:
        self.write("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed")
        self.write("usr/lib/shim/shimx64.efi.signed")
        placed = "boot/efi/EFI/BOOT/mmx64.efi"
        for name, text in (
            ("mmx64.efi", "Ubuntu's"),
            # Debian has the other as well, and has not signed it.
            ("mmx64.efi.signed", "Debian's"),
        ):
            (self.root / "usr/lib/shim" / name).write_text(text)
            for hook, layout in (
                ("efi-loader/finalise.d/45-efi-loader", "efi"),
                ("grub2/finalise.d/46-grub2", ""),
            ):
                with self.subTest(name, hook=hook):
                    (self.root / placed).unlink(missing_ok=True)
                    self.inside(
                        hook,
                        ARCH="amd64",
                        DIB_BLOCK_DEVICE=layout,
                        DIB_ROOT_LABEL="root",
                        EFI_BOOT_DIR="EFI/ubuntu",
                    )
                    self.assertEqual(text, self.text(placed))
        self.assertTrue((self.root / "boot/efi/EFI/ubuntu").is_dir())

    def register(self, **environment: str) -> list[str]:
        """What the image's own program was asked to do."""
        self.inside(
            "rhel-common/pre-install.d/00-rhel-registration", **environment
        )
        asked = self.root / "asked"
        return asked.read_text().splitlines() if asked.exists() else []

    def test_an_image_is_registered_while_it_is_built(self) -> None:
        self.assertEqual(
            [
                "register --activationkey=k --org=1 --name=images",
                "repos --disable=* --enable=a --enable=b",
            ],
            self.register(
                REG_METHOD="portal",
                REG_ACTIVATION_KEY="k",
                REG_ORG="1",
                REG_MACHINE_NAME="images",
                REG_REPOS="a,b",
            ),
        )
        (self.root / "asked").unlink()
        self.inside("rhel-common/finalise.d/60-unregister")
        self.assertEqual("unregister\nclean\n", self.text("asked"))
        left = [path.name for path in (self.root / "etc/rhsm").iterdir()]
        self.assertEqual(["rhsm.conf"], left)
        # The builder's server was in it, while it was built.
        self.assertEqual(RHSM, self.text("etc/rhsm/rhsm.conf"))
        # What was not registered here is not ours to give back.
        (self.root / "asked").unlink()
        self.inside("rhel-common/finalise.d/60-unregister")
        self.gone("asked")

    def test_an_image_that_stays_registered_knows_where(self) -> None:
        self.register(REG_METHOD="portal", REG_ACTIVATION_KEY="k", REG_ORG="1")
        self.inside(
            "rhel-common/finalise.d/60-unregister", REG_HALT_UNREGISTER="1"
        )
        left = [path.name for path in (self.root / "etc/rhsm").iterdir()]
        self.assertEqual(["rhsm.conf"], left)
        self.assertIn("satellite", self.text("etc/rhsm/rhsm.conf"))

    def test_an_image_without_repositories_is_refused(self) -> None:
        hook = "rhel-common/pre-install.d/98-repositories"
        wanted = {"IMAGE_ELEMENT": "base rhel yum"}
        for environment, said in (
            ({}, "DIB_YUM_REPO_CONF names no repositories"),
            ({"REG_METHOD": "portal"}, "subscription enables none"),
        ):
            with (
                self.subTest(said),
                self.assertRaisesRegex(AssertionError, said),
            ):
                self.inside(hook, **wanted, **environment)
        # Where nothing is brought up to date it may do.
        for environment in (
            {**wanted, "DIB_AVOID_PACKAGES_UPDATE": "1"},
            {"IMAGE_ELEMENT": "rhel yum"},
        ):
            said = self.inside(hook, **environment)
            self.assertIn("warning: rhel-common: there is no enabled", said)
        (self.root / "repositories").write_text("repo id\nbaseos\n")
        self.assertEqual("", self.inside(hook, **wanted))

    def test_nothing_is_registered_unless_it_is_asked_for(self) -> None:
        for environment in ({}, {"REG_METHOD": "disable"}):
            self.assertEqual([], self.register(**environment))

    def test_what_changes_nothing_is_said(self) -> None:
        hook = "rhel-common/pre-install.d/00-rhel-registration"
        for knob in ("REG_SAT_REPO", "DIB_RHSM_USER", "REG_SERVICE_LEVEL"):
            said = self.inside(hook, **{knob: "x"})
            self.assertIn(f"{knob} changes nothing", said)
        said = self.inside(hook, REG_SERVICE_LEVEL="x", REG_AUTO_ATTACH="1")
        self.assertNotIn("changes nothing", said)

    def test_half_a_registration_is_refused(self) -> None:
        for environment, said in (
            ({"REG_METHOD": "portal"}, "wants REG_ACTIVATION_KEY and REG_ORG"),
            (
                {"REG_METHOD": "portal", "REG_ACTIVATION_KEY": "k"},
                "is one of REG_ORG's",
            ),
            ({"REG_METHOD": "satellite"}, "wants REG_SERVER_URL"),
            ({"REG_METHOD": "x"}, "is not portal"),
            (
                {"REG_METHOD": "portal", "REG_SAT_URL": "http://x"},
                "nothing proves the package",
            ),
        ):
            with self.subTest(environment):
                with self.assertRaisesRegex(AssertionError, said):
                    self.register(**environment)
                self.gone("asked")
