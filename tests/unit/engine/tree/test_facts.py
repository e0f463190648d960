"""What a tree says of itself, and what is made of it."""

from dib_service.engine.tree import facts, inside
from tests.unit.engine.test_elements import OnDisk

# The ID and VERSION_ID of os-release, and what Glance is told.
RELEASES = {
    ("debian", "12"): ("debian", "12"),
    ("ubuntu", "24.04"): ("ubuntu", "24.04"),
    ("almalinux", "9.4"): ("almalinux", "9.4"),
    ("rocky", "9.4"): ("rocky", "9.4"),
    ("rhel", "9.4"): ("rhel", "9.4"),
    ("centos", "10"): ("centos", "10"),
    ("fedora", "42"): ("fedora", "42"),
    ("opensuse-leap", "15.6"): ("opensuse", "15.6"),
    ("opensuse-tumbleweed", "20260314"): ("opensuse", "20260314"),
    ("sles", "15.6"): ("sles", "15.6"),
    ("sles_sap", "15.6"): ("sles", "15.6"),
    ("sled", "15.6"): ("sled", "15.6"),
    ("openEuler", "24.03"): ("openeuler", "24.03"),
    ("arch", ""): ("arch", None),
    ("debian", "$(reboot)"): ("debian", None),
    ("suse", "11"): (None, "11"),
    ("a b", "x" * 65): (None, None),
    ("", ""): (None, None),
}

# What Glance says not to use.
SYNONYMS = ("archlinux", "org.centos", "redhat", "suse", "org.opensuse")

CLOUD = """
users:
- default
system_info:
  default_user: {name: debian, lock_passwd: true}
"""


class Tree(OnDisk):
    def read(self):
        return facts.of_tree(self.place)

    def cloud(self, **files):
        """cloud.cfg, and what stands in its directory."""
        self.write("etc/cloud/cloud.cfg", files.pop("main", CLOUD))
        for name, text in files.items():
            self.write(f"etc/cloud/cloud.cfg.d/{name}.cfg", text)


class Release(Tree):
    def test_names_are_those_that_glance_knows(self):
        for (identity, version), (distro, number) in RELEASES.items():
            with self.subTest(identity=identity, version=version):
                self.write(
                    "etc/os-release",
                    f"ID='{identity}'\nVERSION_ID=\"{version}\"\n",
                )
                found = self.read()
                self.assertEqual(distro, found.get("os_distro"))
                if number:
                    self.assertEqual(number, found["os_version"])
                else:
                    self.assertNotIn("os_version", found)

    def test_no_synonym_that_glance_refuses(self):
        for synonym in SYNONYMS:
            self.assertNotIn(facts.distribution(synonym), SYNONYMS)

    def test_quotes_are_taken_off(self):
        self.write("usr/lib/os-release", "ID=x\nNAME=\"A 'b'\"\n# no\n\nE=\n")
        self.assertEqual(
            {"ID": "x", "NAME": "A 'b'", "E": ""},
            facts.os_release(self.place),
        )

    def test_what_is_longer_than_any_is_left_out(self):
        many = "".join(f"N{number}=x\n" for number in range(1000))
        self.write("etc/os-release", f"L={'x' * 5000}\nID=x\n{many}")
        found = facts.os_release(self.place)
        self.assertEqual("x", found["ID"])
        self.assertNotIn("L", found)
        self.assertEqual(facts.MOST_ASSIGNMENTS, len(found))

    def test_a_symlink_out_of_the_tree_is_not_followed(self):
        (self.place / "etc").mkdir()
        (self.place / "etc/os-release").symlink_to("/etc/os-release")
        self.assertEqual({}, facts.os_release(self.place))

    def test_a_tree_that_says_nothing(self):
        self.assertEqual({}, self.read())


class FirstBoot(Tree):
    def test_the_default_user(self):
        self.cloud()
        self.assertEqual({"os_admin_user": "debian"}, self.read())

    def test_later_files_have_the_last_word(self):
        self.cloud(
            **{
                "10-a": "system_info: {default_user: {name: first}}",
                "20-b": "system_info: {default_user: {name: second}}",
                "30-c": "system_info: {default_user: {shell: /bin/sh}}",
            }
        )
        self.assertEqual("second", self.read()["os_admin_user"])

    def test_the_older_word_counts_more(self):
        for text in ("user: stack", "user: {name: stack}"):
            self.cloud(own=text)
            self.assertEqual("stack", self.read()["os_admin_user"])

    def test_where_no_user_of_that_kind_is_made_none_is_named(self):
        for text in (
            "users: []",
            "users: [alice]",
            "users: {}",
            "system_info: [1]",
            "system_info: {default_user: ~}",
            "system_info: {default_user: {name: 'a b'}}",
            "system_info: {default_user: {name: 7}}",
        ):
            with self.subTest(text):
                self.cloud(own=text)
                self.assertNotIn("os_admin_user", self.read())

    def test_data_sources(self):
        self.cloud(**{"91-own": "datasource_list: [ConfigDrive, Ec2, None]"})
        self.assertEqual(["ConfigDrive", "Ec2"], self.read()["datasources"])

    def test_files_that_are_no_configuration(self):
        for text in (
            *("[", "- a", "a: &x [*x]", "\0", "!!python/none"),
            *("a: !!int ''", "a: !!bool x", "a: !!timestamp x"),
            *("a: !!float ''", f"a: {'1:' * 999}1.0", "- " * 100000),
        ):
            with self.subTest(text):
                self.cloud(own=text)
                self.assertEqual({"os_admin_user": "debian"}, self.read())
        self.write("etc/cloud/cloud.cfg.d/other.conf", "users: []")
        self.assertEqual("debian", self.read()["os_admin_user"])

    def test_what_cannot_be_read_is_not_guessed(self):
        bomb = ["a0: &a0 {a: 1}"]
        for level in range(30):
            each = ", ".join([f"*a{level}"] * 9)
            bomb.append(f"a{level + 1}: &a{level + 1} {{<<: [{each}]}}")
        for text in (
            "\n".join(bomb),
            "user: stack\n#" + "x" * inside.LONGEST_TEXT,
        ):
            with self.subTest(text[:20]):
                self.cloud(own=text)
                self.assertEqual({}, self.read())
        for count, size in (9, 2**16), (100, 1):
            many = {str(n): "#" + "x" * size for n in range(count)}
            self.cloud(own="", **many)
            self.assertEqual({}, self.read())

    def test_so_many_sources_are_none(self):
        many = [f"x{number}" for number in range(1000)]
        self.cloud(own=f"datasource_list: {many}")
        self.assertNotIn("datasources", self.read())

    def test_each_way_to_say_users(self):
        for text in (
            "users: default",
            "users: 'alice, default'",
            "users: {default: true, alice: {sudo: x}}",
        ):
            with self.subTest(text):
                self.cloud(own=text)
                self.assertEqual("debian", self.read()["os_admin_user"])

    def test_glean_has_a_config_drive_and_root(self):
        self.write("usr/glean/bin/glean", "").chmod(0o755)
        (self.place / "usr/local/bin").mkdir(parents=True)
        (self.place / "usr/local/bin/glean").symlink_to("/usr/glean/bin/glean")
        self.assertEqual(
            {"os_admin_user": "root", "datasources": ["ConfigDrive"]},
            self.read(),
        )
        # What cloud-init leaves where it was taken away.
        self.cloud()
        self.assertEqual("root", self.read()["os_admin_user"])
        self.write("usr/bin/cloud-init", "").chmod(0o755)
        self.assertEqual({"os_admin_user": "debian"}, self.read())

    def test_metadata_inits_user_is_said_in_its_settings(self):
        # Its package may be gone and its file still there.
        self.cloud()
        self.write("etc/metadata-init.json", '{"user": "cloud-user"}')
        self.assertEqual(
            {
                "os_admin_user": "cloud-user",
                "datasources": ["ConfigDrive", "OpenStack"],
            },
            self.read(),
        )
        for text in ("{", "[]", "[" * 100000, '{"user": 7}'):
            self.write("etc/metadata-init.json", text)
            self.assertNotIn("os_admin_user", self.read())


class Agent(Tree):
    def test_it_is_there_when_it_can_run(self):
        path = self.write("usr/sbin/qemu-ga", "")
        path.chmod(0o644)
        self.assertEqual({}, self.read())
        path.chmod(0o755)
        self.assertEqual({"guest_agent": True}, self.read())
