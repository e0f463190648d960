"""What elements bring into a tree is in it, wherever its links lead."""

import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

ELEMENTS = Path(__file__).parents[2] / "elements"
PROGRAMS = (
    "bash cat chmod cp cut dirname find grep install ln mkdir mktemp rm"
    " rmdir sed sha256sum stat tar tr xargs awk env basename touch"
)


class Tree(unittest.TestCase):
    """A tree with a shell, and the hooks directory of a build."""

    def setUp(self) -> None:
        if os.geteuid() != 0:
            self.fail("these tests chroot: run them as root")
        # Not in /tmp, which one test makes a link to here.
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name)
        self.root = self.place / "tree"
        self.hooks = self.place / "hooks"
        self.hooks.mkdir()
        for name in ("bin", "lib", "lib64"):
            (self.root / "usr" / name).mkdir(parents=True)
            (self.root / name).symlink_to(f"usr/{name}")
        for name in ("dev", "etc", "tmp", "usr/local/bin"):
            (self.root / name).mkdir(parents=True)
        for program in PROGRAMS.split():
            self.add(program)
        (self.root / "bin/sh").symlink_to("bash")
        os.mknod(self.root / "dev/null", 0o020666, os.makedev(1, 3))
        self.environment = {
            "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "ARCH": "amd64",
            "DIB_ARGS": "-o image tiny",
            "DIB_INIT_SYSTEM": "systemd",
            "DIB_MANIFEST_IMAGE_DIR": "/etc/dib-manifests",
            "DIB_MANIFEST_SAVE_DIR": "image.d",
            "DIB_PYTHON_EXEC": sys.executable,
            "DISTRO_NAME": "debian",
            "ELEMENTS_PATH": str(self.place / "elements"),
            "IMAGE_ELEMENT": "one",
            "IMAGE_ELEMENT_YAML": yaml.safe_dump(
                {"one": str(self.place / "elements/one")}
            ),
            "TARGET_ROOT": str(self.root),
            "TMP_HOOKS_PATH": str(self.hooks),
            "TMP_MOUNT_PATH": str(self.root),
            "_LIB": str(ELEMENTS.parent / "dib_service/engine/lib"),
        }

    def add(self, program: str) -> None:
        path = shutil.which(program)
        assert path
        listed = subprocess.run(
            ["ldd", path], capture_output=True, text=True
        ).stdout.split()
        for needed in [word for word in listed if word.startswith("/")]:
            copy = self.root / needed[1:]
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(needed, copy)
        shutil.copy(path, self.root / "usr/bin" / program)

    def element(self, **files: str) -> Path:
        directory = self.place / "elements/one"
        for name, text in files.items():
            path = directory / name.replace("__", "/").replace("_", "-")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return directory

    def take_commands(self, *names: str) -> None:
        """Install commands as install-bin does, and gather them."""
        (self.hooks / "bin").mkdir(exist_ok=True)
        for name in names:
            (found,) = ELEMENTS.glob(f"*/bin/{name}")
            shutil.copy(found, self.hooks / "bin")
            shutil.copy(found, self.root / "usr/local/bin")

    def ended(
        self, *words: object, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in words],
            env={**self.environment, **environment},
            cwd=self.place,
            capture_output=True,
            text=True,
        )

    def run_hook(self, hook: str, **environment: str) -> str:
        done = self.ended(ELEMENTS / hook, **environment)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def run_inside(self, *words: object, **environment: str) -> str:
        done = self.ended("chroot", self.root, *words, **environment)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def hook_inside(self, hook: str, **environment: str) -> str:
        """Run a hook where the gathered ones are seen in the chroot."""
        phase, name = hook.split("/")[1:]
        place = self.root / "tmp/in_target.d"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.hooks, place, symlinks=True)
        (place / phase).mkdir(exist_ok=True)
        shutil.copy(ELEMENTS / hook, place / phase)
        return self.run_inside(
            f"/tmp/in_target.d/{phase}/{name}", **environment
        )


class InsideTheTree(Tree):
    """A symlink of the tree leads to nothing of the builder's."""

    def test_each_hook_that_writes_from_outside(self) -> None:
        self.element(
            pkg_map='{"default": {"a": "b"}}',
            svc_map="web: {debian: apache2}\n",
            modprobe_d__x="",
        )
        modprobe = self.place / "elements/one/modprobe.d"
        modprobe.mkdir()
        (modprobe / "x.conf").write_text("blacklist x\n")
        (self.place / "elements/one/package-installs.yaml").write_text("a:\n")
        keys = self.place / "keys"
        keys.mkdir()
        (keys / "key.asc").write_text("key")
        file = self.place / "file"
        file.write_text("deb x\n")
        manifest = self.place / "manifest"
        manifest.write_text('{"packages": [{"package": "a", "version": "1"}]}')
        self.take_commands("dib-json", "package-installs-squash")
        for hook, link, written, environment in (
            (
                "pkg-map/extra-data.d/10-create-pkg-map-dir",
                "usr/share",
                "pkg-map/one",
                {},
            ),
            (
                "svc-map/extra-data.d/10-merge-svc-map-files",
                "usr/share",
                "svc-map/services",
                {},
            ),
            (
                "package-installs/extra-data.d/99-squash-package-install",
                "tmp",
                "package-installs.json",
                {},
            ),
            (
                "modprobe/extra-data.d/50-modprobe-blacklist",
                "etc",
                "modprobe.d/x.conf",
                {},
            ),
            (
                "element-manifest/extra-data.d/75-inject-element-manifest",
                "etc/dib-manifests",
                "dib-element-manifest",
                {},
            ),
            (
                "apt-conf/extra-data.d/99-override-default-apt-conf",
                "etc/apt",
                "apt.conf",
                {"DIB_APT_CONF": str(file)},
            ),
            (
                "apt-sources/extra-data.d/99-override-default-apt-sources",
                "etc/apt",
                "sources.list",
                {"DIB_APT_SOURCES": str(file)},
            ),
            (
                "apt-preferences/extra-data.d/99-set-apt-package-pins",
                "etc/apt",
                "preferences",
                {"DIB_DPKG_MANIFEST": str(manifest)},
            ),
            (
                "dpkg/root.d/12-apt-keyring",
                "etc/apt",
                "trusted.gpg.d/key.asc",
                {"DIB_ADD_APT_KEYS": str(keys)},
            ),
            (
                "select-boot-kernel-initrd/extra-data.d/99-copy-dib-img-functions",
                "lib/diskimage-builder",
                "img-functions",
                {},
            ),
        ):
            with self.subTest(hook):
                host = Path(tempfile.mkdtemp(dir=self.place))
                place = self.root / link
                if place.is_dir():
                    shutil.rmtree(place)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(host)
                # What the link means to the tree.
                inside = self.root / str(host)[1:]
                inside.mkdir(parents=True)
                try:
                    self.run_hook(hook, **environment)
                finally:
                    place.unlink()
                    place.mkdir()
                self.assertEqual([], list(host.iterdir()))
                self.assertTrue((inside / written).is_file(), written)

    def test_each_hook_that_removes_from_outside(self) -> None:
        self.take_commands("pkg-map")
        host = self.place / "host"
        for name in ("pkg-map", "dib-init-system", "dib-python"):
            host.mkdir(exist_ok=True)
            shutil.copy(ELEMENTS / "pkg-map/bin/pkg-map", host / name)
        (host / "img-functions").write_text("")
        for hook, link in (
            ("install-bin/cleanup.d/95-remove-build-tools", "usr/local/bin"),
            ("install-bin/cleanup.d/95-remove-build-tools", "usr/share"),
            ("dib-init-system/cleanup.d/95-dib-init-system", "usr/local/bin"),
            ("dib-python/cleanup.d/50-dib-python", "usr/local/bin"),
            (
                "select-boot-kernel-initrd/cleanup.d/99-remove-dib-img-functions",
                "lib/diskimage-builder",
            ),
        ):
            with self.subTest(hook, link=link):
                place = self.root / link
                if place.is_dir():
                    shutil.rmtree(place)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(host)
                before = sorted(host.iterdir())
                (self.root / str(host)[1:]).mkdir(parents=True, exist_ok=True)
                self.ended(ELEMENTS / hook)
                place.unlink()
                place.mkdir()
                self.assertEqual(before, sorted(host.iterdir()))


class Commands(Tree):
    """What hooks in a chroot without Python are told."""

    def test_packages(self) -> None:
        self.element(
            pkg_map=json.dumps(
                {"family": {"debian": {"web": "apache2 tools", "none": ""}}}
            )
        )
        (self.place / "elements/one/package-installs.yaml").write_text(
            "web:\nnone:\nother:\n"
            "compiler:\n  build-only: true\n"
            "late:\n  phase: post-install.d\n"
        )
        self.take_commands(
            *("dib-json", "pkg-map", "package-installs-squash"),
            *("package-installs-v2", "package-installs", "package-uninstalls"),
        )
        asked = self.root / "usr/local/bin/install-packages"
        asked.write_text('#!/bin/bash\necho "asked: $*"\n')
        asked.chmod(0o755)
        self.run_hook("pkg-map/extra-data.d/10-create-pkg-map-dir")
        self.run_hook(
            "package-installs/extra-data.d/99-squash-package-install"
        )
        old = self.hooks / "install.d/package-installs-one"
        old.parent.mkdir()
        old.write_text("# old\nweb\n-build-tool  # for a while\n\n")
        for hook, expected in (
            (
                "install.d/01-package-installs",
                [
                    "asked: apache2 tools build-tool",
                    "asked: apache2 tools other compiler",
                ],
            ),
            (
                "install.d/99-package-uninstalls",
                ["asked: -e build-tool", "asked: -e compiler"],
            ),
            ("post-install.d/00-package-installs", ["asked: late"]),
            ("post-install.d/95-package-uninstalls", []),
            ("pre-install.d/10-package-installs", []),
        ):
            with self.subTest(hook):
                said = self.hook_inside(f"package-installs/{hook}")
                self.assertEqual(
                    expected,
                    [
                        line
                        for line in said.splitlines()
                        if line.startswith("asked")
                    ],
                )

    def test_services(self) -> None:
        self.element(svc_map="web: {debian: apache2}\nown: {default: x}\n")
        self.take_commands("svc-map")
        self.run_hook("svc-map/extra-data.d/10-merge-svc-map-files")
        units = self.root / "lib/systemd/system"
        units.mkdir(parents=True)
        (units / "own.service").write_text("")
        self.assertEqual(
            "apache2\nown\nother\n",
            self.run_inside("svc-map", "web", "own", "other"),
        )

    def test_a_service_of_two_elements(self) -> None:
        self.element(svc_map="web: {debian: apache2}\n")
        two = self.place / "elements/two"
        two.mkdir()
        (two / "svc-map").write_text("web: {debian: nginx}\n")
        done = self.ended(
            ELEMENTS / "svc-map/extra-data.d/10-merge-svc-map-files",
            IMAGE_ELEMENT_YAML=yaml.safe_dump(
                {"one": str(two.parent / "one"), "two": str(two)}
            ),
        )
        self.assertEqual(1, done.returncode)
        self.assertIn("web is in one and in two", done.stderr)

    def test_sysctl(self) -> None:
        self.take_commands("sysctl-set-value", "sysctl-write-value")
        self.run_inside("sysctl-write-value", "a.b", "1 2", "why")
        self.run_inside("sysctl-write-value", "a.b", "1 2")
        file = self.root / "etc/sysctl.d/a.b.conf"
        self.assertEqual("# why\na.b = 1 2\n", file.read_text())
        done = self.ended(
            "chroot", self.root, "sysctl-write-value", "a.b", "1"
        )
        self.assertEqual(1, done.returncode)
        # There is no /proc in this tree, so the kernel knows nothing.
        done = self.ended("chroot", self.root, "sysctl-set-value", "b.c", "1")
        self.assertIn("there is no b.c", done.stderr)

    def test_build_tools_go_and_others_stay(self) -> None:
        self.take_commands("pkg-map", "dib-json", "sysctl-write-value")
        tools = self.root / "usr/local/bin"
        (tools / "dib-json").write_text("changed")
        (self.root / "usr/share/pkg-map").mkdir(parents=True)
        self.run_hook("install-bin/cleanup.d/95-remove-build-tools")
        self.assertEqual(
            ["dib-json", "sysctl-write-value"],
            sorted(path.name for path in tools.iterdir()),
        )
        self.assertFalse((self.root / "usr/share/pkg-map").exists())


class Static(Tree):
    HOOK = "install-static/install.d/10-install-static-files"

    def test_it_is_laid_over_the_tree(self) -> None:
        static = self.hooks / "static"
        for name in ("etc/new", "etc/old", "lib/x", "opt/tool"):
            (static / name).parent.mkdir(parents=True, exist_ok=True)
            (static / name).write_text("ours")
        (static / "opt/tool").chmod(0o775)
        (static / "etc/link").symlink_to("new")
        (self.root / "etc/old").write_text("theirs")
        (self.root / "etc/old").chmod(0o440)
        (self.root / "etc").chmod(0o751)
        os.chown(static / "etc/new", 1234, 1234)
        self.hook_inside(self.HOOK)
        for name, mode in (
            ("etc/new", 0o644),
            ("etc/old", 0o440),
            ("usr/lib/x", 0o644),
            ("opt/tool", 0o755),
        ):
            status = (self.root / name).stat()
            self.assertEqual("ours", (self.root / name).read_text())
            self.assertEqual(
                (mode, 0), (status.st_mode & 0o7777, status.st_uid)
            )
        self.assertEqual("new", str((self.root / "etc/link").readlink()))
        self.assertTrue((self.root / "lib").is_symlink())
        self.assertEqual(0o751, (self.root / "etc").stat().st_mode & 0o7777)

    def test_the_names_that_rsync_passes_over(self) -> None:
        names = (
            *("a", "a.so.1", "core2", "Makefile", ".hidden", "b.c", "x$y"),
            *("core", "a.o", "a.so", "a~", "#a", ".#a", ",a", "_$a", "a$"),
            *("a.orig", "a.rej", "a.old", "TAGS", ".make.state", "cvslog.1"),
            *("CVS/x", ".git/x", "RCS/x", "core.d/x", "sub/a.bak", "sub/b"),
        )
        static = self.hooks / "static"
        for name in names:
            (static / "srv" / name).parent.mkdir(parents=True, exist_ok=True)
            (static / "srv" / name).write_text(name)
        said = self.hook_inside(self.HOOK)
        theirs = self.place / "theirs"
        subprocess.run(
            ["rsync", "-lCr", f"{static}/", theirs], check=True, env={}
        )
        self.assertEqual(files(theirs / "srv"), files(self.root / "srv"))
        self.assertIn("left out by its name: /srv/sub/a.bak", said)


class Services(Tree):
    def test_init_scripts_with_what_lies_beside_them(self) -> None:
        scripts = self.hooks / "init-scripts/systemd"
        (scripts / "x.service.d").mkdir(parents=True)
        (scripts / "x.service").write_text("[Unit]\n")
        (scripts / "x.service.d/more.conf").write_text("[Unit]\n")
        (scripts / "alias.service").symlink_to("x.service")
        self.hook_inside("dib-init-system/install.d/20-install-init-scripts")
        units = self.root / "usr/lib/systemd/system"
        self.assertEqual(["x.service", "x.service.d/more.conf"], files(units))
        self.assertTrue((units / "alias.service").is_symlink())

    def test_the_command_that_says_which(self) -> None:
        self.hook_inside("dib-init-system/pre-install.d/04-dib-init-system")
        self.assertEqual("systemd\n", self.run_inside("dib-init-system"))
        self.run_hook("dib-init-system/cleanup.d/95-dib-init-system")
        self.assertEqual([], list((self.root / "usr/local/bin").iterdir()))

    def test_install_types(self) -> None:
        for name in (
            *("tool-source-install/50-tool", "tool-package-install/50-tool"),
            *("my-app-source-install/60-app", "my-app-repo-install/60-app"),
            "odd-a-b-install/70-odd",
        ):
            hook = self.hooks / "install.d" / name
            hook.parent.mkdir(parents=True)
            hook.write_text(name)
        hook = "install-types/extra-data.d/99-enable-install-types"
        self.run_hook(
            hook,
            DIB_DEFAULT_INSTALLTYPE="source",
            DIB_INSTALLTYPE_my_app="repo",
            DIB_INSTALLTYPE_odd="a-b",
        )
        self.assertEqual(
            {
                "50-tool": "tool-source-install/50-tool",
                "60-app": "my-app-repo-install/60-app",
                "70-odd": "odd-a-b-install/70-odd",
            },
            {
                path.name: path.read_text()
                for path in (self.hooks / "install.d").iterdir()
                if path.is_symlink()
            },
        )


class Manifests(Tree):
    def test_how_it_was_asked_for_less_the_secrets(self) -> None:
        (self.root / "etc/dib-manifests").mkdir()
        (self.root / "etc/dib-manifests/list").write_text("x")
        # A link to a file of the builder's is no reason to show it.
        (self.place / "secret").write_text("the builder's")
        (self.root / "etc/dib-manifests/link").symlink_to(
            self.place / "secret"
        )
        hook = self.hooks / "cleanup.d/01-copy-manifests-dir"
        hook.parent.mkdir()
        shutil.copy(
            ELEMENTS / "manifests/cleanup.d/01-copy-manifests-dir", hook
        )
        shutil.copytree(
            ELEMENTS / "manifests/manifests-tools",
            self.hooks / "manifests-tools",
        )
        done = self.ended(
            hook,
            DIB_ENV="declare -x DIB_RELEASE=bookworm\n"
            "declare -x DIB_WORDS='two words'\n"
            "declare -x DIB_DEV_USER_PASSWORD=hunter2\n"
            "declare -x DIB_KEPT_BY_THE_ENGINE\n"
            "declare -x DIB_MIRROR=https://me:hunter2@example.org/x\n"
            "declare -x DIB_X=AbCdEf0123456789AbCdEf0123456789\n"
            "declare -x DIB_Y='-----BEGIN X'\n"
            "declare -x DIB_URL=https://example.org/a-long/path-to/some.file\n",
        )
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        for place in (
            self.root / "etc/dib-manifests",
            self.place / "image.d/dib-manifests",
        ):
            self.assertEqual(
                "declare -x DIB_DEV_USER_PASSWORD='(hidden)'\n"
                "declare -x DIB_KEPT_BY_THE_ENGINE='(hidden)'\n"
                "declare -x DIB_MIRROR='(hidden)'\n"
                "declare -x DIB_RELEASE=bookworm\n"
                "declare -x DIB_URL=https://example.org/a-long/path-to/"
                "some.file\n"
                "declare -x DIB_WORDS='two words'\n"
                "declare -x DIB_X='(hidden)'\n"
                "declare -x DIB_Y='(hidden)'\n",
                (place / "dib_environment").read_text(),
            )
            arguments = (place / "dib_arguments").read_text()
            self.assertEqual("-o image tiny\n", arguments)
            for name in ("list", "dib_environment", "dib_arguments"):
                mode = (place / name).stat().st_mode & 0o777
                self.assertEqual(0o600, mode, name)
            self.assertTrue((place / "link").is_symlink())


class Kernels(Tree):
    def test_the_newest_stays(self) -> None:
        boot = self.root / "boot"
        boot.mkdir()
        for version in ("6.1.0-9-amd64", "6.1.0-10-amd64"):
            for name in ("vmlinuz", "initrd.img", "config", "System.map"):
                (boot / f"{name}-{version}").write_text(version)
        (boot / "grub").mkdir()
        self.run_hook(
            "cleanup-kernel-initrd/cleanup.d/99-cleanup-kernel-initrd"
        )
        kept = {path.read_text() for path in boot.iterdir() if path.is_file()}
        self.assertEqual({"6.1.0-10-amd64"}, kept)
        self.assertTrue((boot / "grub").is_dir())

    def test_a_version_that_another_begins_with(self) -> None:
        boot = self.root / "boot"
        boot.mkdir()
        for name in ("vmlinuz-6.1", "vmlinuz-6.1.5", "initramfs-6.1.5.img"):
            (boot / name).write_text("x")
        self.run_hook(
            "cleanup-kernel-initrd/cleanup.d/99-cleanup-kernel-initrd"
        )
        self.assertEqual(["initramfs-6.1.5.img", "vmlinuz-6.1.5"], files(boot))


def files(place: Path) -> list[str]:
    return sorted(
        str(path.relative_to(place))
        for path in place.rglob("*")
        if path.is_file() and not path.is_symlink()
    )
