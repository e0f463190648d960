"""The image's apt sources are the ones asked for, or the host's own."""

import os
import pathlib
import subprocess
import tempfile
import unittest

SOURCES = (
    pathlib.Path(__file__).parents[3]
    / "elements/debootstrap/debian-tools/sources"
)
MIRROR = "http://mirror.example.org/debian"
SIGNED = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"


class TestSources(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.bin = pathlib.Path(folder.name)
        self.host("")
        self.program("debootstrap", "#!/bin/sh\n")

    def program(self, name: str, text: str) -> None:
        fake = self.bin / name
        fake.write_text(text)
        fake.chmod(0o755)

    def host(self, targets: str) -> None:
        """Let the host's apt say that these are its sources."""
        self.program("apt-get", f"#!/bin/sh\ncat <<'E'\n{targets}E\n")

    def run_sources(
        self, release: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SOURCES, release],
            env={"PATH": f"{self.bin}:{os.environ['PATH']}", **environment},
            capture_output=True,
            text=True,
        )

    def sources(self, release: str, **environment: str) -> list[str]:
        done = self.run_sources(release, **environment)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        return done.stdout.splitlines()

    def test_the_mirror_asked_for_and_what_lies_beside_it(self) -> None:
        self.assertEqual(
            [
                f"deb {SIGNED} {MIRROR} bookworm main contrib",
                f"deb {SIGNED} {MIRROR} bookworm-updates main contrib",
                f"deb {SIGNED} {MIRROR}-security bookworm-security main"
                " contrib",
            ],
            self.sources(
                "bookworm",
                DIB_DISTRIBUTION_MIRROR=f"{MIRROR}/",
                DIB_DEBIAN_COMPONENTS="main,contrib",
            ),
        )

    def test_no_security_suite_when_told_so(self) -> None:
        lines = self.sources(
            "bookworm",
            DIB_DISTRIBUTION_MIRROR=MIRROR,
            DIB_DEBIAN_SECURITY_MIRROR="none",
        )
        self.assertEqual(2, len(lines))

    def test_the_hosts_own_and_nobody_elses(self) -> None:
        self.host(
            "http://other.example.org/tools nodistro main\n"
            "http://other.example.org/more bookworm nightly\n"
            "http://a.example.org/debian/ bookworm main\n"
            "http://a.example.org/debian/ bookworm contrib\n"
            "http://b.example.org/debian/ bookworm-updates main\n"
            "http://c.example.org/security/ bookworm-security main\n"
            "http://d.example.org/debian/ bookworm-backports main\n"
        )
        self.assertEqual(
            [
                f"deb {SIGNED} http://a.example.org/debian bookworm main",
                f"deb {SIGNED} http://b.example.org/debian bookworm-updates"
                " main",
                f"deb {SIGNED} http://c.example.org/security"
                " bookworm-security main",
            ],
            self.sources("bookworm"),
        )

    def test_ubuntus_suites_are_all_in_one_tree(self) -> None:
        signed = "[signed-by=/usr/share/keyrings/ubuntu-archive-keyring.gpg]"
        lines = self.sources(
            "noble",
            DISTRO_NAME="ubuntu",
            DIB_DISTRIBUTION_MIRROR=MIRROR,
            DIB_DEBIAN_COMPONENTS="main,universe",
        )
        self.assertEqual(
            [
                f"deb {signed} {MIRROR} noble{pocket} main universe"
                for pocket in ("", "-updates", "-security", "-backports")
            ],
            lines,
        )
        self.assertEqual(
            [f"deb {signed} {MIRROR} noble main"],
            self.sources(
                "noble",
                DISTRO_NAME="ubuntu",
                DIB_DISTRIBUTION_MIRROR=MIRROR,
                DIB_UBUNTU_MIRROR_DISTS="",
            ),
        )

    def test_ubuntus_own_mirror_is_known(self) -> None:
        # And Debian's, which this host may use, is not asked for it.
        self.host("http://a.example.org/debian/ noble main\n")
        for processor, places in (
            ("amd64", {"archive.ubuntu.com", "security.ubuntu.com"}),
            ("arm64", {"ports.ubuntu.com"}),
        ):
            lines = self.sources("noble", DISTRO_NAME="ubuntu", ARCH=processor)
            hosts = {line.partition("://")[2].split("/")[0] for line in lines}
            self.assertEqual(places, hosts)

    def test_no_mirror_at_all_says_what_to_do(self) -> None:
        done = self.run_sources("bookworm")
        self.assertEqual(1, done.returncode)
        self.assertIn("DIB_DISTRIBUTION_MIRROR", done.stderr)

    def test_a_host_that_is_no_debian_takes_what_the_tool_would(self) -> None:
        self.program(
            "debootstrap",
            f'#!/bin/sh\nDEF_MIRROR="{MIRROR}"\nMIRRORS="$DEF_MIRROR"\n',
        )
        self.assertEqual(
            [
                f"deb {SIGNED} {MIRROR} trixie main",
                f"deb {SIGNED} {MIRROR} trixie-updates main",
                f"deb {SIGNED} {MIRROR}-security trixie-security main",
            ],
            self.sources("trixie"),
        )
        self.host("http://a.example.org/debian/ bookworm main\n")
        first, *_ = self.sources("bookworm")
        self.assertIn("a.example.org", first)

    def test_sid_has_neither_security_nor_updates(self) -> None:
        self.host(
            "http://a.example.org/debian/ bookworm main\n"
            "http://c.example.org/security/ bookworm-security main\n"
        )
        for release in ("sid", "unstable"):
            self.assertEqual(
                [f"deb {SIGNED} http://a.example.org/debian {release} main"],
                self.sources(release),
            )

    def test_nothing_asked_for_is_an_option_or_another_source(self) -> None:
        for name, value in (
            ("DIB_DISTRIBUTION_MIRROR", "mirror+file:/etc/passwd"),
            ("DIB_DISTRIBUTION_MIRROR", "ssh://-oProxyCommand=id/debian"),
            ("DIB_DISTRIBUTION_MIRROR", f"{MIRROR} x y\ndeb [trusted=yes] z"),
            ("DIB_DEBIAN_SECURITY_MIRROR", "[trusted=yes] http://x/y"),
            ("DIB_APT_KEYRING", "/x.gpg trusted=yes"),
            ("DIB_UBUNTU_MIRROR_DISTS", "updates,x y\ndeb [trusted=yes] z"),
            ("DIB_DEBIAN_COMPONENTS", "main\ndeb [trusted=yes] z"),
        ):
            with self.subTest(name, value=value):
                asked = {
                    "DISTRO_NAME": "ubuntu",
                    "DIB_DISTRIBUTION_MIRROR": MIRROR,
                    name: value,
                }
                done = self.run_sources("bookworm", **asked)
                self.assertEqual((1, ""), (done.returncode, done.stdout))
                self.assertIn(name, done.stderr)

    def test_all_sources_may_be_given(self) -> None:
        given = (
            "default:deb http://a.example.org/debian x main contrib\n"
            "  mine:deb http://b.example.org/ ./  \n\n"
        )
        done = self.run_sources("bookworm", DIB_APT_SOURCES_CONF=given)
        self.assertEqual(1, done.returncode)
        self.assertEqual(
            [
                f"deb {SIGNED} http://a.example.org/debian x main contrib",
                f"deb {SIGNED} http://b.example.org/ y",
            ],
            self.sources(
                "bookworm", DIB_APT_SOURCES_CONF=given.replace("./", "y")
            ),
        )

    def test_given_sources_are_no_options(self) -> None:
        for line in (
            "x:deb [trusted=yes] http://a/b c main",
            "x:deb http://a/b [trusted=yes]",
            "deb http://a/b c main",
            "x:deb mirror+file:/etc/passwd c main",
            "x:deb http://a/b c main [x]",
        ):
            with self.subTest(line):
                done = self.run_sources("x", DIB_APT_SOURCES_CONF=line)
                self.assertEqual((1, ""), (done.returncode, done.stdout))
                self.assertIn("DIB_APT_SOURCES_CONF", done.stderr)

    def test_the_keyring_has_two_names(self) -> None:
        for name in ("DIB_APT_KEYRING", "DIB_DEBIAN_KEYRING"):
            first, *_ = self.sources(
                "sid", DIB_DISTRIBUTION_MIRROR=MIRROR, **{name: "/x.gpg"}
            )
            self.assertIn("[signed-by=/x.gpg]", first)

    def test_a_release_is_one_word(self) -> None:
        done = self.run_sources("bookworm\nx", DIB_DISTRIBUTION_MIRROR=MIRROR)
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertIn("DIB_RELEASE", done.stderr)

    def test_a_list_of_mirrors_of_the_host_is_read_here(self) -> None:
        # As Debian's own cloud images have it. In the image there is no
        # such list.
        mirrors = self.bin / "mirrors.list"
        mirrors.write_text(f"# by hand\n\n{MIRROR}\tpriority:1\nhttp://b/c\n")
        self.host(f"mirror+file:{mirrors} bookworm main\n")
        self.assertEqual(
            [
                f"deb {SIGNED} {MIRROR} bookworm main",
                f"deb {SIGNED} {MIRROR} bookworm-updates main",
            ],
            self.sources("bookworm"),
        )

    def test_what_the_host_knows_is_never_traced(self) -> None:
        self.host("http://me:secret@a.example.org/debian bookworm main\n")
        done = self.run_sources("bookworm", DIB_DEBUG_TRACE="1")
        self.assertIn("me:secret@", done.stdout)
        self.assertNotIn("secret", done.stderr)
