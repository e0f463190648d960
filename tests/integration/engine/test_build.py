"""Whole builds of a tiny tree: what comes out, and in which order."""

import hashlib
import json
from pathlib import Path
import subprocess
import sys

from dib_service.engine import catalogue
from tests.integration.engine import images, tiny


class Build(tiny.TinyBuild):
    def test_an_image_in_each_format(self):
        built = self.build(formats=["raw", "qcow2"], name="tiny-1")
        self.assertEqual(0, built.code, built.events[-5:])
        self.assertEqual([], built.of_kind("fault"))
        made = {each["format"]: each for each in built.of_kind("artefact")}
        self.assertEqual({"raw", "qcow2"}, set(made))
        for wanted, artefact in made.items():
            path = Path(artefact["path"])
            self.assertEqual(self.output / f"tiny-1.{wanted}", path)
            digest = hashlib.sha512(path.read_bytes()).hexdigest()
            self.assertEqual(digest, artefact["sha512"])
            self.assertEqual(path.stat().st_size, artefact["size"])
        label = subprocess.run(
            ["e2label", made["raw"]["path"]],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        self.assertEqual("cloudimg-rootfs\n", label)
        self.assert_nothing_is_left()

    def test_the_manifest_says_what_was_made(self):
        built = self.build(name="tiny-1")
        [event] = built.of_kind("manifest")
        manifest = event["manifest"]
        self.assertEqual("partition", manifest["layout"])
        self.assertEqual("cloudimg-rootfs", manifest["root_label"])
        self.assertEqual(
            {"ID": "tiny", "NAME": "Tiny OS"}, manifest["os_release"]
        )
        self.assertEqual(
            ["base", "tiny"], [each["name"] for each in manifest["elements"]]
        )
        self.assertEqual("tiny-1.qcow2", manifest["artefacts"][0]["path"])
        self.assertEqual(
            {
                "product": "partition",
                "os_distro": "tiny",
                "root_uuid": manifest["image"]["root_uuid"],
                "root_size": manifest["virtual_size"],
            },
            manifest["image"],
        )

    def test_every_phase_runs_its_hooks_in_order(self):
        phases = catalogue.PHASES
        names = ("10-b", "9-a", "100-z", "05-first")
        self.element(
            "trace",
            {
                f"{phase}/{name}-{phase[:-2]}": "echo ran"
                for phase in phases
                for name in names
                if phase != "root.d" or name != "05-first"
            },
        )
        built = self.build("trace")
        self.assertEqual(0, built.code, built.events[-5:])
        ran = [
            f"{event['phase']}/{event['hook']}"
            for event in built.of_kind("hook")
            if event["state"] == "end" and event["element"] == "trace"
        ]
        self.assertEqual(
            [
                f"{phase}/{name}-{phase[:-2]}"
                for phase in phases
                for name in ("05-first", "9-a", "10-b", "100-z")
                if phase != "root.d" or name != "05-first"
            ],
            ran,
        )
        self.assertEqual(
            ["resolve", *phases[:7], "disk", *phases[7:], "output", "verify"],
            [
                event["phase"]
                for event in built.of_kind("phase")
                if event["state"] == "end"
            ],
        )

    def test_what_does_not_look_like_a_hook_does_not_run(self):
        trace = self.element(
            "trace",
            {"install.d/10-a.sh": "echo dot", "install.d/11-b": "echo b"},
        )
        (trace / "install.d/11-b").chmod(0o644)
        built = self.build("trace")
        warnings = [line for line in built.lines() if "warning" in line]
        self.assertEqual(2, len(warnings), warnings)
        self.assertIn("install.d/10-a.sh", warnings[0])
        self.assertNotIn("dot", built.lines())

    def test_a_hook_without_an_interpreter_line_runs(self):
        self.element(
            "trace",
            {"install.d/10-in": "#!", "post-root.d/10-out": "#!"},
        )
        for hook in ("install.d/10-in", "post-root.d/10-out"):
            path = self.elements / "trace" / hook
            path.write_text("echo ran without\n")
        built = self.build("trace")
        self.assertEqual(2, built.lines().count("ran without"))

    def test_a_hook_may_add_hooks(self):
        self.element(
            "trace",
            {
                "extra-data.d/10-add": (
                    'ln -s "$TMP_HOOKS_PATH/spare/50-x" '
                    '"$TMP_HOOKS_PATH/install.d/50-added"'
                ),
                "install.d/10-a": "true",
                "spare/50-x": "#!/bin/bash\necho added\n",
            },
        )
        # A link as install-types makes them is only good outside; inside,
        # the directory is seen elsewhere.
        path = self.elements / "trace/extra-data.d/10-add"
        path.write_text(
            path.read_text().replace('"$TMP_HOOKS_PATH/spare', '"../spare')
        )
        built = self.build("trace")
        self.assertEqual(["added"], built.lines("50-added"))

    def test_what_a_hook_writes_beside_the_image_is_handed_over(self):
        self.element(
            "trace",
            {"cleanup.d/10-x": 'mkdir "$IMAGE_NAME.d"; id > $IMAGE_NAME.d/a'},
        )
        for _ in range(2):
            built = self.build("trace", name="tiny")
            self.assertEqual(0, built.code)
            self.assertIn("uid=0", (self.output / "tiny.d/a").read_text())

    def test_archives_and_disks_of_one_build(self):
        self.element(
            "kernel",
            {
                "cleanup.d/10-x": (
                    'ls "$TARGET_ROOT/dev" > "$IMAGE_NAME.vmlinuz"\n'
                    'cd "$TARGET_ROOT"; echo > .at-the-root'
                )
            },
        )
        formats = ["tar", "qcow2", "squashfs", "tgz"]
        built = self.build("kernel", formats=formats, name="tiny")
        self.assertEqual(0, built.code, built.events[-5:])
        made = {each["format"]: each for each in built.of_kind("artefact")}
        self.assertEqual({*formats, "vmlinuz"}, set(made))
        self.assertEqual("kernel", made["vmlinuz"]["role"])
        [manifest] = built.of_kind("manifest")
        self.assertEqual(
            sorted(each["sha512"] for each in made.values()),
            sorted(
                each["sha512"] for each in manifest["manifest"]["artefacts"]
            ),
        )
        # The hooks had a /dev, and it was not the image's.
        self.assertIn("null", (self.output / "tiny.vmlinuz").read_text())
        for suffix in ("tar", "tgz"):
            names = images.run(
                "tar", "--list", "--file", self.output / f"tiny.{suffix}"
            ).splitlines()
            self.assertIn("./.at-the-root", names)
            self.assertEqual(
                ["./dev/", "./proc/", "./sys/"],
                [
                    name
                    for name in names
                    if name.startswith(("./dev", "./proc", "./sys"))
                ],
            )
        listing = images.run(
            "unsquashfs", "-l", "-d", "", self.output / "tiny.squash"
        ).splitlines()
        self.assertIn("/.at-the-root", listing)
        self.assertIn("/dev", listing)
        self.assertNotIn("/dev/null", listing)
        self.assertNotIn("/proc/version", listing)
        self.assert_nothing_is_left()

    def test_an_archive_alone_has_seen_a_disk(self):
        # finalise.d may ask for it, whatever the format.
        self.element(
            "loader", {"finalise.d/10-x": 'echo "$IMAGE_BLOCK_DEVICE"'}
        )
        built = self.build("loader", formats=["tar"])
        self.assertEqual(0, built.code, built.events[-5:])
        [device] = built.lines("10-x")
        self.assertTrue(device.startswith("/dev/loop"), device)
        self.assertEqual(
            {"image.tar", "image.tar.sha256", "image.tar.sha512"},
            {path.name for path in self.output.iterdir()},
        )

    def test_what_this_host_cannot_make_is_said_at_once(self):
        built = self.build(
            formats=["qcow2"],
            environment={"QEMU_IMG_OPTIONS": "cluster_size=1"},
        )
        self.assertEqual("spec", built.fault["code"])
        self.assertIn("QEMU_IMG_OPTIONS", built.fault["message"])
        self.assertEqual([], built.of_kind("hook"))

    def test_the_image_has_forgotten_the_build(self):
        self.element(
            "trace",
            {
                "finalise.d/10-x": (
                    "echo a > /tmp/a; echo b > /var/log/b; echo > /root/c.log"
                )
            },
        )
        built = self.build("trace", formats=["raw"])
        self.assertEqual(0, built.code)
        with_paths = subprocess.run(
            [
                *("debugfs", "-R", "ls -p /tmp"),
                self.output / "image.raw",
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        names = [line.split("/")[5] for line in with_paths.split("\n") if line]
        self.assertEqual([".", ".."], names)


class Packages(tiny.TinyBuild):
    def setUp(self):
        super().setUp()
        self.element(
            "packager",
            {
                "install.d/99-last": (
                    "printf '#!/bin/sh\\necho installs $*; exit ${1#v}\\n' "
                    "> /usr/bin/install-packages\n"
                    "chmod 755 /usr/bin/install-packages"
                ),
                "post-install.d/10-a": "echo after",
            },
        )

    def test_they_are_installed_after_install_d(self):
        built = self.build("packager", packages=["0", "b"])
        self.assertEqual(0, built.code, built.events[-5:])
        self.assertEqual(["installs 0 b", "after"], built.lines()[-2:])

    def test_what_is_not_to_be_had_ends_the_build(self):
        built = self.build("packager", packages=["v5"])
        self.assertEqual(1, built.code)
        self.assertEqual(5, built.fault["exit_code"])
        self.assertEqual("packages", built.fault["phase"])
        self.assertNotIn("after", built.lines())


class Environment(tiny.TinyBuild):
    def setUp(self):
        super().setUp()
        self.element(
            "trace",
            {
                **{
                    f"{phase}/20-{phase[:-2]}": "env"
                    for phase in (
                        "root.d",
                        "extra-data.d",
                        "install.d",
                        "finalise.d",
                        "cleanup.d",
                    )
                },
                "environment.d/100-late": "export ORDER=${ORDER:-}late",
                "environment.d/11-early.bash": (
                    'export ORDER="${ORDER:-}early "\nNOT_EXPORTED=1\n'
                    "echo from the snippet"
                ),
            },
        )
        self.built = self.build("trace", environment={"DIB_RELEASE": "one"})
        self.assertEqual(0, self.built.code, self.built.events[-5:])

    def test_the_contracts_variables_are_there_inside_and_outside(self):
        for hook in ("20-extra-data", "20-install", "20-cleanup"):
            seen = self.built.variables(hook)
            self.assertEqual("amd64", seen["ARCH"])
            self.assertEqual("one", seen["DIB_RELEASE"])
            self.assertEqual("base tiny trace", seen["IMAGE_ELEMENT"])
            self.assertEqual("cloudimg-rootfs", seen["DIB_ROOT_LABEL"])
            self.assertEqual("source", seen["DIB_DEFAULT_INSTALLTYPE"])
            self.assertEqual("C", seen["LC_ALL"])
            self.assertTrue(seen["TMP_HOOKS_PATH"].endswith("/hooks"))
            self.assertTrue(seen["TMP_MOUNT_PATH"].endswith("/mnt"))

    def test_target_root_is_set_where_the_contract_sets_it(self):
        given = {
            hook: "TARGET_ROOT" in self.built.variables(f"20-{hook}")
            for hook in ("root", "extra-data", "install", "cleanup")
        }
        self.assertEqual(
            {
                "root": True,
                "extra-data": False,
                "install": False,
                "cleanup": True,
            },
            given,
        )

    def test_the_block_device_is_known_from_finalise_on(self):
        early = self.built.variables("20-install")
        self.assertNotIn("IMAGE_BLOCK_DEVICE", early)
        late = self.built.variables("20-finalise")
        self.assertIn("/dev/loop", late["IMAGE_BLOCK_DEVICE"])
        self.assertGreater(int(late["DIB_IMAGE_SIZE"]), 0)

    def test_environment_d_is_sourced_by_bytes_not_by_number(self):
        seen = self.built.variables("20-install")
        # 100-late comes before 11-early: nothing was there to add to.
        self.assertEqual("lateearly ", seen["ORDER"])
        self.assertNotIn("NOT_EXPORTED", seen)
        self.assertIn("from the snippet", self.built.lines())

    def test_home_is_not_the_builders(self):
        self.assertEqual("/root", self.built.variables("20-install")["HOME"])
        outside = self.built.variables("20-extra-data")["HOME"]
        self.assertTrue(outside.startswith(str(self.workspace)), outside)

    def test_nothing_of_the_callers_environment_is_there(self):
        self.assertNotIn("a token of the builder", str(self.built.events))


class Elements(tiny.TinyBuild):
    def test_hooks_find_the_elements_of_their_image(self):
        self.element(
            "trace",
            {
                "extra-data.d/10-x": (
                    "eval declare -A found=($(get_image_element_array))\n"
                    'echo "array ${found[tiny]}"\n'
                    'echo "yaml $(grep ^tiny: <<< "$IMAGE_ELEMENT_YAML")"\n'
                    'test -f "$_LIB/common-functions"\n'
                    ". $_LIB/common-functions\n"
                    "(die a reason) || echo died\n"
                )
            },
        )
        built = self.build("trace")
        place = self.elements / "tiny"
        self.assertEqual(
            [
                f"array {place}",
                f"yaml tiny: {place}",
                "ERROR: a reason",
                "died",
            ],
            built.lines("10-x"),
        )

    def test_the_list_is_json(self):
        listing = subprocess.run(
            [
                *(sys.executable, "-m", "dib_service.engine"),
                *("elements", "--element-path", self.elements),
            ],
            check=True,
            capture_output=True,
            cwd=tiny.CHECKOUT,
        ).stdout
        [base, found] = json.loads(listing)
        self.assertEqual("base", base["name"])
        self.assertEqual(["operating-system"], found["provides"])
        self.assertEqual({"root.d": ["10-tiny"]}, found["hooks"])
        self.assertEqual(64, len(found["digest"]))


class ImageCreate(tiny.TinyBuild):
    def test_hooks_have_the_callers_surroundings(self):
        self.element(
            "nosy",
            {
                "extra-data.d/10-x": (
                    'echo "outside $MINE $TMPDIR"; cat "$HOME/note"'
                ),
                "install.d/10-x": (
                    'echo "inside $MINE ${TMPDIR:-none} $HOME"'
                ),
            },
        )
        (self.place / "note").write_text("a file of mine\n")
        made = self.create("-o", self.output / "my", "tiny", "nosy", MINE="x")
        self.assertIn(f"outside x {self.workspace}\n", made.stderr)
        self.assertIn("a file of mine\n", made.stderr)
        self.assertIn("inside x none /root\n", made.stderr)
        self.assert_nothing_is_left()

    def test_an_image_without_a_cloud(self):
        made = self.create("-o", self.output / "my", "-t", "raw", "tiny")
        self.assertEqual(f"{self.output}/my.raw\n", made.stdout)
        self.assertIn("== cleanup.d", made.stderr)
        self.assertTrue((self.output / "my.raw").is_file())
        self.assert_nothing_is_left()

    def create(self, *words, **environment):
        return subprocess.run(
            [
                *(sys.executable, "-m"),
                "dib_service.engine.commands.image_create",
                *words,
            ],
            check=True,
            capture_output=True,
            text=True,
            cwd=tiny.CHECKOUT,
            env={
                "ELEMENTS_PATH": str(self.elements),
                "HOME": str(self.place),
                "PATH": "/usr/bin:/bin",
                "TMPDIR": str(self.workspace),
                **environment,
            },
        )
