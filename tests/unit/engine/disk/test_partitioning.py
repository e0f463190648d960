"""Partition tables: where everything lies, and what is written."""

import os
from pathlib import Path
import tempfile
import unittest

from dib_service.engine import errors
from dib_service.engine.disk import partitioning
from dib_service.engine.disk.layout import Partition, Table
from dib_service.engine.disk.partitioning import Span
from dib_service.engine.sizes import GiB, MiB, TiB, parse
from dib_service.engine.verify.image import partition_table


def table(*sizes, label="gpt", align=MiB, primary=4):
    return Table(
        label=label,
        align=align,
        partitions=tuple(
            Partition(
                name=f"p{number}",
                size=parse(size, "size"),
                type="83" if label == "mbr" else "8300",
                bootable=number == 1,
                logical=label == "mbr" and number > primary,
            )
            for number, size in enumerate(sizes, start=1)
        ),
    )


class Spans(unittest.TestCase):
    def test_fixed_sizes_then_what_is_left(self):
        found = partitioning.spans(table("8MiB", "100%"), GiB)
        self.assertEqual(
            {
                "p1": Span(MiB, 8 * MiB),
                # All but a MiB before, 8 of p1 and the copy of the table.
                "p2": Span(9 * MiB, (1024 - 10) * MiB, 2),
            },
            found,
        )

    def test_a_share_is_of_what_is_left_when_its_turn_comes(self):
        found = partitioning.spans(table("75%", "25%", label="mbr"), 401 * MiB)
        self.assertEqual(Span(MiB, 300 * MiB), found["p1"])
        self.assertEqual(Span(301 * MiB, 25 * MiB, 2), found["p2"])

    def test_what_stands_behind_a_share_keeps_its_room(self):
        found = partitioning.spans(table("100%", "10MiB"), 101 * MiB)
        self.assertEqual(Span(MiB, 89 * MiB), found["p1"])
        self.assertEqual(Span(90 * MiB, 10 * MiB, 2), found["p2"])

    def test_logical_partitions_have_their_links_before_them(self):
        shape = table("10MiB", "20MiB", "100%", label="mbr", primary=1)
        found = partitioning.spans(shape, 100 * MiB)
        self.assertEqual(
            {
                "p1": Span(MiB, 10 * MiB),
                "p2": Span(12 * MiB, 20 * MiB, 5),
                "p3": Span(33 * MiB, 67 * MiB, 6),
            },
            found,
        )

    def test_what_does_not_fit(self):
        with self.assertRaises(errors.DiskTooSmall) as caught:
            partitioning.spans(table("8MiB", "100%"), 9 * MiB)
        self.assertEqual(9 * MiB, caught.exception.facts["wanted"])
        with self.assertRaises(errors.DiskTooSmall):
            partitioning.spans(table("8MiB", "1GiB"), GiB)

    def test_room_is_just_enough(self):
        for shape in (table("8MiB", "100%"), table("30%", "5MiB", "70%"),
                      table("100%", label="mbr")):  # fmt: skip
            wanted = {
                p.name: 333 * MiB for p in shape.partitions if p.size.percent
            }
            total = partitioning.room(shape, wanted)
            found = partitioning.spans(shape, total)
            for name, size in wanted.items():
                self.assertGreaterEqual(found[name].size, size)
            smallest = min(found[name].size for name in wanted)
            self.assertLess(smallest, 336 * MiB)

    def test_shares_that_leave_nothing(self):
        with self.assertRaises(errors.LayoutError):
            partitioning.room(table("100%", "75%"), {})


class Written(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.image = Path(holder.name) / "disk"
        with self.image.open("wb") as file:
            file.truncate(100 * MiB)

    def test_an_mbr(self):
        shape = table("10MiB", "100%", label="mbr")
        spans = partitioning.spans(shape, 100 * MiB)
        partitioning.write(self.image, shape, spans, 512)
        found = partition_table(self.image, 512)
        self.assertEqual("mbr", found.label)
        self.assertEqual(list(spans.values()), found.spans)
        self.assertEqual(["83", "83"], found.types)
        first = self.image.read_bytes()[:512]
        self.assertEqual([0x80, 0], [first[446], first[462]])
        self.assertNotEqual(b"\0" * 4, first[440:444])

    def test_an_mbr_with_logical_partitions(self):
        for count in (1, 2, 60):
            sizes = ["10MiB"] + ["512KiB"] * count
            shape = table(*sizes, label="mbr", primary=1, align=512 * 1024)
            spans = partitioning.spans(shape, 100 * MiB)
            partitioning.write(self.image, shape, spans, 512)
            found = partition_table(self.image, 512)
            self.assertEqual(list(spans.values()), found.spans)
            self.assertEqual(["83"] * (count + 1), found.types)
            self.assertEqual(count + 4, found.spans[-1].number)

    def test_an_mbr_of_a_disk_that_is_too_large(self):
        shape = table("10MiB", label="mbr")
        os.truncate(self.image, 2 * TiB + MiB)
        with self.assertRaisesRegex(errors.LayoutError, "take gpt"):
            partitioning.write(
                self.image, shape, partitioning.spans(shape, 100 * MiB), 512
            )

    def test_a_gpt_whose_entries_are_elsewhere(self):
        shape = table("10MiB")
        spans = partitioning.spans(shape, 100 * MiB)
        partitioning.write(self.image, shape, spans, 512)
        found = partition_table(self.image, 512)
        self.assertEqual(list(spans.values()), found.spans)
        for at in (2**64 - 1, 100 * MiB // 512):
            with self.image.open("r+b") as disk:
                disk.seek(512 + 72)
                disk.write(at.to_bytes(8, "little"))
            with self.assertRaisesRegex(ValueError, "damaged"):
                partition_table(self.image, 512)

    def test_a_partition_that_is_not_on_the_disk(self):
        shape = table("10MiB", label="mbr")
        spans = partitioning.spans(shape, 100 * MiB)
        partitioning.write(self.image, shape, spans, 512)
        os.truncate(self.image, 11 * MiB)
        partition_table(self.image, 512)
        os.truncate(self.image, 11 * MiB - 512)
        with self.assertRaisesRegex(ValueError, "partition 1 is not on"):
            partition_table(self.image, 512)

    def test_a_chain_of_logical_partitions_that_leads_away(self):
        shape = table("10MiB", "1MiB", label="mbr", primary=1)
        spans = partitioning.spans(shape, 100 * MiB)
        partitioning.write(self.image, shape, spans, 512)
        with self.image.open("r+b") as disk:
            disk.seek(446 + 16 + 8)
            disk.write((2**32 - 1).to_bytes(4, "little"))
        with self.assertRaisesRegex(ValueError, "no table before it"):
            partition_table(self.image, 512)

    def test_nothing_is_no_table(self):
        with self.assertRaises(ValueError):
            partition_table(self.image, 512)
