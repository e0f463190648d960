"""The libraries that hooks source and the programs that they call."""

import json
import os
from pathlib import Path
import subprocess

from dib_service.engine import elements, hooks
from tests.unit.engine.test_elements import OnDisk

LIB = hooks.LIB


class Called(OnDisk):
    def call(self, *words, code=0, **environment):
        """What a program says on stdout; ``said`` is its stderr."""
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.place,
            env={"PATH": os.environ["PATH"], "_LIB": str(LIB), **environment},
        )
        self.said = done.stderr
        self.assertEqual(code, done.returncode, done.stderr)
        return done.stdout

    def bash(self, text, code=0, **environment):
        return self.call(
            "bash", "-ceu", text, "bash", code=code, **environment
        )


class RunParts(Called):
    def run_parts(self, *words, **options):
        return self.call(LIB / "dib-run-parts", *words, **options)

    def programs(self, *names):
        for name in names:
            self.write(
                f"x.d/{name}", f"#!/bin/sh\necho ran {name} $#\n", 0o755
            )

    def test_by_number_then_by_bytes(self):
        names = (
            *("-3-q", "abc", "05-x", "9-b", "010-c"),
            *("10-B", "10-_", "10-a", "100-z"),
        )
        self.programs(*names)
        self.assertEqual(
            [f"ran {name} 0" for name in names],
            self.run_parts("x.d").splitlines(),
        )
        self.assertEqual(names, elements.runnable(self.place / "x.d"))

    def test_a_list_is_of_paths_and_runs_none(self):
        self.programs("20-b", "10-a")
        listed = self.run_parts("--list", "x.d")
        self.assertEqual("x.d/10-a\nx.d/20-b\n", listed)

    def test_nothing_to_run(self):
        (self.place / "x.d").mkdir()
        self.assertEqual("", self.run_parts("x.d"))
        self.assertEqual("", self.run_parts("--list", "x.d"))

    def test_what_does_not_run(self):
        self.programs("10-a", "20-b.sh", ".30-c", "40-d")
        (self.place / "x.d/40-d").chmod(0o644)
        (self.place / "x.d/50-directory").mkdir()
        self.assertEqual("ran 10-a 0\n", self.run_parts("x.d"))
        self.assertIn("x.d/20-b.sh is not run", self.said)
        self.assertIn("x.d/.30-c is not run", self.said)

    def test_another_pattern(self):
        self.programs("10-a", "20-b.sh")
        said = self.run_parts("x.d", RUN_PARTS_REGEX=r"\.sh$")
        self.assertEqual("ran 20-b.sh 0\n", said)

    def test_an_environments_own_variables_are_its_own(self):
        self.programs("10-a")
        self.write(
            "environment.d/10-x",
            "directory=/nowhere program= programs=() name=x list=1\n",
        )
        self.assertEqual("ran 10-a 0\n", self.run_parts("x.d"))

    def test_the_first_that_fails_ends_it(self):
        self.programs("10-a", "30-c")
        self.write("x.d/20-b", "#!/bin/sh\nexit 42\n", 0o755)
        said = self.run_parts("x.d", code=42)
        self.assertEqual("ran 10-a 0\n", said)
        self.assertEqual(
            "dib-run-parts x.d/20-b exited 42", self.said.splitlines()[-1]
        )

    def test_the_environment_is_sourced_and_not_shown(self):
        self.write("environment.d/100-late", "export ORDER=${ORDER:-}late")
        self.write(
            "environment.d/11-early.bash",
            "export ORDER=${ORDER:-}early\nPASSWORD=hidden\n",
        )
        self.write("x.d/10-a", "#!/bin/sh\necho $ORDER ${PASSWORD-}\n", 0o755)
        self.assertEqual("lateearly\n", self.run_parts("x.d"))
        self.assertNotIn("hidden", self.said)

    def test_no_directory(self):
        self.run_parts("gone.d", code=1)
        self.assertIn("usage", self.said)


class Functions(Called):
    def functions(self, text, **options):
        return self.bash(
            f". $_LIB/common-functions; . $_LIB/img-functions; {text}",
            **options,
        )

    def test_to_die_is_to_fail(self):
        self.functions("die a reason", code=1)
        self.assertEqual("ERROR: a reason\n", self.said)
        self.functions("(exit 7) || die a reason", code=7)

    def test_hooks_of_a_directory(self):
        self.write("hooks/x.d/10-a", "#!/bin/sh\necho VALUE=ran\n", 0o755)
        where = str(self.place / "hooks")
        self.assertEqual(
            "VALUE=ran\n", self.functions("run_d x", TMP_HOOKS_PATH=where)
        )
        self.assertEqual(
            "VALUE=ran\nran\n",
            self.functions(
                "eval_run_d x VALUE=; echo $VALUE", TMP_HOOKS_PATH=where
            ),
        )
        self.functions("run_d none", TMP_HOOKS_PATH=where)

    def test_a_failing_hook_fails_its_directory(self):
        self.write("hooks/x.d/10-a", "#!/bin/sh\nexit 3\n", 0o755)
        where = str(self.place / "hooks")
        self.functions("run_d x", code=3, TMP_HOOKS_PATH=where)

    def test_a_break_point(self):
        (self.place / "hooks").mkdir()
        said = self.functions(
            "run_d x",
            TMP_HOOKS_PATH=str(self.place / "hooks"),
            **{"break": "before-y,after-x", "break_cmd": "pwd"},
        )
        self.assertEqual(f"{self.place}\n", said)

    def test_a_build_directory_of_a_hooks_own(self):
        said = self.functions(
            "mk_build_dir; echo made > $TMP_IMAGE_PATH;"
            "mkdir $TMP_BUILD_DIR/mnt; save_image image.x",
            TMP_DIR=str(self.place),
            DIB_CHECKSUM="sha256",
        )
        self.assertIn("Building in", said)
        self.assertEqual(
            {"image.x", "image.x.sha256"},
            {path.name for path in self.place.iterdir()},
        )

    def test_an_image_that_is_there_is_kept(self):
        self.write("image.x", "old")
        self.write("made", "new")
        self.functions("OUT_IMAGE_PATH=made; save_image image.x")
        self.assertEqual("new", (self.place / "image.x").read_text())
        [kept] = self.place.glob("image-*.x")
        self.assertEqual("old", kept.read_text())

    def test_defaults_do_not_override(self):
        said = self.bash(
            ". $_LIB/img-defaults; echo $ARCH $FS_TYPE $DIB_CHECKSUM",
            ARCH="s390x",
            FS_TYPE="xfs",
        )
        self.assertEqual("s390x xfs 0\n", said)


class Kernel(Called):
    def chosen(self, *names, code=0, **environment):
        for name in names:
            self.write(f"boot/{name}")
        return self.bash(
            f". $_LIB/img-functions; select_boot_kernel_initrd {self.place};"
            'echo "$BOOTDIR $KERNEL $RAMDISK $TARGET_ROOT"',
            code=code,
            **environment,
        ).removeprefix(f"{self.place}/boot ")

    def test_the_newest_and_its_ramdisk(self):
        self.assertEqual(
            f"vmlinuz-6.10.1-a initrd.img-6.10.1-a {self.place}\n",
            self.chosen(
                *("vmlinuz-6.9.2-a", "initrd.img-6.9.2-a"),
                *("vmlinuz-6.10.1-a", "initrd.img-6.10.1-a"),
                "vmlinuz-0-rescue-x",
            ),
        )

    def test_a_red_hat_like_one(self):
        said = self.chosen("vmlinuz-5.14-1.el9", "initramfs-5.14-1.el9.img")
        self.assertIn("vmlinuz-5.14-1.el9 initramfs-5.14-1.el9.img", said)

    def test_a_link_stands_for_what_it_points_to(self):
        (self.place / "boot").mkdir()
        (self.place / "boot/vmlinuz").symlink_to("Image-6.4-default")
        (self.place / "boot/initrd").symlink_to("initrd-6.4-default")
        said = self.chosen("initrd-6.4-default")
        self.assertIn("Image-6.4-default initrd-6.4-default", said)

    def test_a_link_out_of_boot_has_the_name_of_its_kernel(self):
        # Tumbleweed's, of which the older is gone by the other name.
        for version in ("6.9.1-1-default", "6.10.2-1-default"):
            self.write(f"usr/lib/modules/{version}/vmlinuz")
            self.write(f"boot/initrd-{version}")
            (self.place / f"boot/vmlinuz-{version}").symlink_to(
                f"../usr/lib/modules/{version}/vmlinuz"
            )
        (self.place / "boot/vmlinuz").symlink_to("vmlinuz-6.9.1-1-default")
        (self.place / "boot/initrd").symlink_to("initrd-6.9.1-1-default")
        said = self.chosen()
        self.assertIn(
            "vmlinuz-6.10.2-1-default initrd-6.10.2-1-default ", said
        )

    def test_a_link_by_its_whole_path(self):
        self.write("boot/vmlinuz-6.1")
        self.write("boot/initrd-6.1")
        (self.place / "boot/vmlinuz-9").symlink_to("/boot/vmlinuz-6.1")
        self.assertIn("vmlinuz-6.1 initrd-6.1 ", self.chosen())

    def test_patterns_of_the_caller(self):
        said = self.chosen(
            *("vmlinuz-9", "initrd.img-9", "special-kernel", "special-disk"),
            DIB_BAREMETAL_KERNEL_PATTERN="*-kernel",
            DIB_BAREMETAL_INITRD_PATTERN="*-disk",
        )
        self.assertIn("special-kernel special-disk", said)

    def test_none(self):
        self.chosen("config-6", code=1)
        self.assertIn("no kernel found", self.said)
        self.chosen("vmlinuz-6", code=1)
        self.assertIn("no ramdisk for vmlinuz-6", self.said)


class ElementInfo(Called):
    def setUp(self):
        super().setUp()
        self.write("path/os/element-provides", "operating-system")
        self.write("path/a b/README.rst")
        self.write("path/more/element-deps", "os")
        self.directory = hooks_directory(self.place)

    def info(self, *words, **options):
        return self.call(
            *(self.directory / hooks.PYTHON, LIB / "element-info.py", *words),
            ELEMENTS_PATH=str(self.place / "path"),
            **options,
        )

    def test_names(self):
        self.assertEqual("more os\n", self.info("more"))

    def test_for_bash(self):
        text = self.info("--env", "more")
        said = self.bash(
            text + "\n"
            "eval declare -A found=($(bash -c get_image_element_array))\n"
            'echo "$IMAGE_ELEMENT ${found[os]}"; echo "$IMAGE_ELEMENT_YAML"'
        )
        self.assertEqual(
            [
                f"more os {self.place}/path/os",
                f"more: {self.place}/path/more",
                f"os: {self.place}/path/os",
            ],
            said.split("\n")[:3],
        )

    def test_what_is_wrong_is_said(self):
        self.info("gone", code=1)
        self.assertIn("element 'gone' not found", self.said)

    def test_modules_that_elements_import(self):
        said = self.call(
            self.directory / hooks.PYTHON,
            "-c",
            "from diskimage_builder import logging_config, paths\n"
            "import logging; logging_config.setup()\n"
            "logging.getLogger('x').info('heard'); paths.show_path('lib')",
        )
        self.assertEqual(f"{LIB}\n", said)
        self.assertEqual("INFO x [-] heard\n", self.said)


class BlockDevice(Called):
    def test_a_value(self):
        self.write("disk/values.json", json.dumps({"root-label": "mine"}))
        said = self.call(
            *("python3", LIB / "dib-block-device.py", "getval", "root-label"),
            DIB_BLOCK_DEVICE_PARAMS_YAML=str(self.place / "disk/params.yaml"),
        )
        self.assertEqual("mine\n", said)

    def ask(self, *words):
        self.call(
            *("python3", LIB / "dib-block-device.py"),
            *("--params", self.place / "disk/params.yaml", *words),
            code=1,
        )
        return self.said

    def test_what_there_is_not(self):
        self.assertIn("No such file", self.ask("getval", "root-label"))
        self.write("disk/values.json", json.dumps({"root-label": "mine"}))
        self.assertIn("there are: root-label", self.ask("getval", "image"))

    def test_what_only_the_engine_does(self):
        self.assertIn("umount: the engine does this", self.ask("umount"))


def hooks_directory(place: Path) -> Path:
    hooks.gather((), place / "gathered")
    return place / "gathered"
