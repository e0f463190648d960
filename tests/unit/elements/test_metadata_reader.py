"""The metadata is a stranger's word, from a drive or from a service."""

import http.server
import json
import os
import threading
import unittest
from unittest import mock

from tests.unit.elements import programs

with programs.importable("metadata-reader"):
    from metadata_reader import data, drive, files, service


class Drive(programs.Place):
    def drive(self, version="latest", **documents):
        """The directory of a drive with these documents on it."""
        folder = self.place / "drive/openstack" / version
        folder.mkdir(parents=True, exist_ok=True)
        for key, value in documents.items():
            text = value if isinstance(value, bytes) else json.dumps(value)
            if key != "user_data":
                key += ".json"
            (folder / key).write_bytes(
                text if isinstance(text, bytes) else text.encode()
            )
        return self.place / "drive"

    def test_all_of_it(self):
        found = drive.below(
            self.drive(
                meta_data={"uuid": "x"},
                network_data={"links": []},
                vendor_data={"a": 1},
                vendor_data2={"b": {}},
                user_data=b"#!/bin/sh\n",
            )
        )
        self.assertEqual("config-drive", found.source)
        self.assertEqual({"uuid": "x"}, found.document("meta_data.json"))
        self.assertEqual({"b": {}}, found.document("vendor_data2.json"))
        self.assertEqual(b"#!/bin/sh\n", found.user_data)
        self.assertEqual(
            found, data.Metadata.from_json(found.to_json()), "both ways"
        )

    def test_the_last_version_where_there_is_no_latest(self):
        self.drive("2012-08-10", meta_data={"uuid": "old"})
        place = self.drive("2018-08-27", meta_data={"uuid": "new"})
        found = drive.below(place)
        self.assertEqual({"uuid": "new"}, found.document("meta_data.json"))

    def test_what_is_broken_is_told_and_the_rest_read(self):
        for text in (b"{", b"[1]", b"\xff\xfe", b"[" * 100000):
            with self.subTest(text[:9]):
                found = drive.below(
                    self.drive(meta_data={"uuid": "x"}, network_data=text)
                )
                self.assertIn("network_data.json", found.broken)
                self.assertTrue(
                    found.broken["network_data.json"].isprintable()
                )

    def test_a_drive_of_no_use(self):
        for documents in ({}, {"meta_data": b"{"}, {"meta_data": []}):
            with self.subTest(documents), self.assertRaises(data.Unreadable):
                drive.below(self.drive(**documents))
        with self.assertRaises(data.Unreadable):
            drive.below(self.place)

    def test_a_symlink_is_no_file_of_the_drive(self):
        secret = self.place / "secret"
        secret.write_text('{"root": "hash"}')
        place = self.drive(meta_data={"uuid": "x"})
        folder = place / "openstack/latest"
        (folder / "user_data").symlink_to(secret)
        (folder / "vendor_data.json").symlink_to(secret)
        found = drive.below(place)
        self.assertEqual(b"", found.user_data)
        self.assertEqual({}, found.document("vendor_data.json"))

    def test_a_symlink_is_no_directory_of_the_drive(self):
        place = self.drive("elsewhere", meta_data={"uuid": "x"})
        (place / "openstack/latest").symlink_to("elsewhere")
        with self.assertRaises(data.Unreadable):
            drive.below(place)

    def test_a_file_without_an_end(self):
        place = self.drive(meta_data={"uuid": "x"})
        with mock.patch.object(data, "LONGEST", 8):
            (place / "openstack/latest/user_data").write_bytes(b"x" * 9)
            with self.assertRaises(data.Unreadable):
                drive.below(place)


class Devices(programs.Place):
    """Which of several filesystems with the label is the cloud's."""

    def setUp(self):
        super().setUp()
        self.labelled = []
        self.patch(drive, "BLOCK", self.place)
        self.patch(drive, "root", lambda: "sda1")
        self.patch(drive, "ran", self.ran)
        self.disk("sda", "sda1", "sda3")

    def ran(self, *words):
        if "LABEL=config-2" in words:
            return "\n".join(self.labelled)
        return "vfat\n" if words[0] == "blkid" and "TYPE" in words else ""

    def disk(self, name, *parts, volume=""):
        folder = self.place / "devices" / name
        folder.mkdir(parents=True)
        (self.place / name).symlink_to(folder)
        if volume:
            (folder / "dm").mkdir()
            (folder / "dm/uuid").write_text(f"{volume}\n")
        for part in parts:
            (folder / part).mkdir()
            (folder / part / "partition").write_text("1\n")
            (self.place / part).symlink_to(folder / part)

    def order(self, *names):
        """These have the label; in which order they are looked at."""
        self.labelled = [f"/dev/{name}" for name in names]
        return [device.removeprefix("/dev/") for device, _ in drive.devices()]

    def test_the_one_beside_the_root_is_ironic_s(self):
        self.disk("sdb", "sdb1")
        self.disk("sr0")
        self.assertEqual(
            ["sda3", "sr0", "sdb1"], self.order("sdb1", "sr0", "sda3")
        )

    def test_what_guests_write_to_is_none(self):
        self.disk("dm-0", volume="LVM-abc")
        for name in ("loop3", "nbd0", "rbd1"):
            self.disk(name)
        self.disk("sdb", "sdb1")
        self.assertEqual(
            ["sdb1"], self.order("dm-0", "loop3", "nbd0", "rbd1", "sdb1")
        )

    def test_a_disk_of_several_ways_and_a_raid_may_be(self):
        self.disk("dm-1", volume="part4-mpath-3600")
        self.disk("md0", "md0p2")
        self.assertEqual(["dm-1", "md0p2"], self.order("md0p2", "dm-1"))


class Service(programs.Place):
    def setUp(self):
        super().setUp()
        self.answers = {}
        self.headers = []
        case = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                code, content = case.answers.get(
                    self.path.rpartition("/")[2], (404, b"")
                )
                if callable(content):
                    code, content = content()
                self.send_response(code)
                for each in case.headers:
                    self.send_header(*each)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *words):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}/openstack/latest/"
        pause = mock.patch.object(service, "PAUSE_SECONDS", 0.0)
        pause.start()
        self.addCleanup(pause.stop)

    def test_what_it_has(self):
        self.answers["meta_data.json"] = (200, b'{"uuid": "x"}')
        self.answers["user_data"] = (200, b"hello")
        # No proxy leads to an address of the link.
        with mock.patch.dict(os.environ, {"http_proxy": "http://127.0.0.1:9"}):
            found = service.read(30.0, url=self.url)
        self.assertEqual("metadata-service", found.source)
        self.assertEqual(b"hello", found.user_data)
        self.assertNotIn("vendor_data.json", found.documents)

    def test_one_that_is_busy_is_asked_again(self):
        codes = [503, 404, 500]

        def answer():
            return (codes.pop(0), b"") if codes else (200, b"{}")

        self.answers["meta_data.json"] = (0, answer)
        told = []
        self.assertIsNotNone(service.read(30.0, told.append, self.url))
        self.assertEqual(3, len(told))

    def test_a_part_that_does_not_come_leaves_the_rest(self):
        self.answers["meta_data.json"] = (200, b'{"uuid": "x"}')
        for code in (500, 504, 400, 403, 501):
            for name in ("vendor_data2.json", "user_data"):
                with self.subTest(name, code=code):
                    self.answers[name] = (code, b"")
                    found = service.read(0.0, url=self.url)
                    self.assertEqual(
                        {"uuid": "x"}, found.document("meta_data.json")
                    )
                    self.assertEqual({name: f"answers {code}"}, found.broken)
                    del self.answers[name]

    def test_a_part_that_comes_later_is_waited_for(self):
        codes = [500, 503]

        def answer():
            return (codes.pop(0), b"") if codes else (200, b'{"a": 1}')

        self.answers["meta_data.json"] = (200, b"{}")
        self.answers["vendor_data2.json"] = (0, answer)
        told = []
        found = service.read(30.0, told.append, self.url)
        self.assertEqual({"a": 1}, found.document("vendor_data2.json"))
        self.assertEqual({}, found.broken)
        self.assertIn("vendor_data2.json answers 500", told[0])

    def test_a_machine_that_is_forgotten_in_between(self):
        answers = [(200, b"{}")]

        def answer():
            return answers.pop() if answers else (403, b"")

        self.answers["meta_data.json"] = (0, answer)
        self.answers["vendor_data.json"] = (500, b"")
        self.assertIsNone(service.read(0.0, url=self.url))

    def test_nobody_answers(self):
        self.assertIsNone(service.read(0.0, url="http://127.0.0.1:9/"))

    def test_what_ends_in_the_middle_or_never_is_no_answer(self):
        self.answers["meta_data.json"] = (200, b"{}")
        self.headers = [("Content-Length", "9")]
        told = []
        self.assertIsNone(service.read(0.0, told.append, self.url))
        self.assertIn("in the middle", told[0])
        self.headers = []
        told.clear()
        pieces = [b" "] * 9
        answer = mock.Mock(length=None, read1=lambda most: pieces.pop())
        with (
            mock.patch.object(service, "ANSWER_SECONDS", -1.0),
            self.assertRaises(service.Unanswered),
        ):
            service.whole(answer)

    def test_it_talks_nonsense(self):
        self.answers["meta_data.json"] = (200, b"<html>")
        with self.assertRaises(data.Unreadable):
            service.read(30.0, url=self.url)


class Files(programs.Place):
    def test_written_once_and_whole(self):
        path = self.place / "x"
        owner = (os.getuid(), os.getgid())
        self.assertTrue(files.write(path, "a", mode=0o600, owner=owner))
        self.assertFalse(files.write(path, "a", mode=0o600, owner=owner))
        self.assertTrue(files.write(path, "a", mode=0o640, owner=owner))
        self.assertEqual(0o640, path.stat().st_mode & 0o777)
        self.assertEqual([path], list(self.place.iterdir()))

    def test_a_symlink_is_replaced_and_not_followed(self):
        path, target = self.place / "x", self.place / "target"
        target.write_text("a")
        path.symlink_to(target)
        owner = (os.getuid(), os.getgid())
        self.assertTrue(files.write(path, "a", mode=0o600, owner=owner))
        self.assertFalse(path.is_symlink())


if __name__ == "__main__":
    unittest.main()
