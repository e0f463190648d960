"""What a stranger's console becomes before anybody reads it."""

import io
import unittest

from dib_service.engine.gate import console

KERNEL = "[    1.234567] Run /init as init process\n"


class Heard(unittest.TestCase):
    def setUp(self):
        self.told = []
        self.console = console.Console(self.told.append)

    def test_lines_without_escape_sequences(self):
        self.console.feed(
            b"\x1b[0;32m  OK  \x1b[0m Started \x1b]0;title\x07ssh.\r\r\n"
            b"\x1b(B\x1b=a\tb\x00\x07\xc2\x9b\n\n\xe2\x80\xaereversed\n"
        )
        self.assertEqual(["  OK   Started ssh.", "a b", "reversed"], self.told)

    def test_a_place_on_the_screen_begins_a_line(self):
        self.console.feed(b"\x1b[2J\x1b[01;01HBdsDxe: a\x1b[02;01HBdsDxe: b\n")
        self.assertEqual(["BdsDxe: a", "BdsDxe: b"], self.told)

    def test_the_frame_of_a_menu_is_nothing(self):
        self.console.feed(b"+-----+\n|     |\n| *GNU/Linux |\n")
        self.assertEqual(["| *GNU/Linux |"], self.told)

    def test_a_letter_in_two_pieces(self):
        for piece in (b"caf\xc3", b"\xa9\n"):
            self.console.feed(piece)
        self.assertEqual(["café"], self.told)

    def test_lines_are_cut_and_come_to_an_end(self):
        self.console.feed(b"x" * (3 * console.LONGEST_LINE))
        self.assertEqual(
            [console.LONGEST_LINE] * 2, [len(line) for line in self.told]
        )
        self.console.feed(b"\n" + b"y\n" * (2 * console.MOST_LINES))
        self.assertEqual(console.MOST_LINES, len(self.told))
        self.assertIn("more", self.told[-1])
        # The end is there for whoever asks why.
        self.console.feed(b"the reason")
        self.assertEqual(["y", "the reason"], self.console.tail(2))
        self.assertLess(len(self.console.text), 2 * console.RECENT)

    def test_what_is_waited_for_is_told_once(self):
        for second in range(100):
            stars = "*" * (second % 3 + 1)
            self.console.feed(
                f"[{stars}   ] (1 of 2) Job a.service/start running "
                f"({second}s / no limit)\r".encode()
            )
        self.assertEqual(1, len(self.told))
        self.assertIn("a.service", self.told[0])
        # The last of it is there all the same.
        self.assertIn("(99s", self.console.text)
        self.assertIn("(99s", self.console.tail(1)[0])

    def test_it_is_heard_to_its_end(self):
        self.console.listen(io.BufferedReader(io.BytesIO(b"a\nb")))
        self.assertEqual(["a", "b"], self.console.tail(5))


class Signs(unittest.TestCase):
    def test_what_will_not_come_up(self):
        for code, text in (
            (
                "boot-no-loader",
                "Booting from Hard Disk...\nNo bootable device.",
            ),
            (
                "boot-no-loader",
                'BdsDxe: failed to load Boot0001 "UEFI Misc Device": '
                "Access Denied",
            ),
            (
                "boot-no-loader",
                "BdsDxe: No bootable option or device was found.",
            ),
            ("boot-loader", "error: no such partition.\ngrub rescue> "),
            ("boot-loader", "GNU GRUB\n\ngrub> "),
            (
                "boot-no-root",
                "ALERT!  LABEL=cloudimg-rootfs does not exist.  Dropping",
            ),
            ("boot-no-root", "BusyBox v1.35\n(initramfs) "),
            (
                "boot-kernel",
                "[ 1.2] Kernel panic - not syncing: No init found",
            ),
            ("boot-emergency", "You are in emergency mode. After logging in"),
        ):
            with self.subTest(text):
                found = console.sign(text)
                self.assertIsNotNone(found)
                self.assertEqual(code, found[0])

    def test_init_has_spoken(self):
        for text in (
            f"{KERNEL}Starting\n",
            f"{KERNEL}[    1.400000] usb: new\nudev\n[    1.5",
            f"{KERNEL}[    1.400000] usb: new\n/ # ",
            # Much of it, since somebody looked last.
            f"{KERNEL}Starting\n" + "[    1.400000] usb: new\n" * 1000,
        ):
            self.assertTrue(self.heard(text).init_speaks, text)

    def test_only_the_kernel_has(self):
        for text in (
            "",
            "SeaBIOS\nDecompressing Linux\n",
            KERNEL,
            f"{KERNEL}[    1.400000] usb: new\n",
            f"{KERNEL}[    1.4",
        ):
            self.assertFalse(self.heard(text).init_speaks, text)

    def heard(self, text):
        heard = console.Console(lambda line: None)
        heard.feed(text.encode())
        return heard

    def test_the_words_of_the_kernel_are_told(self):
        _, problem = console.sign("Kernel panic - not syncing: No init found")
        self.assertIn("No init found", problem)

    def test_a_sound_boot_has_none(self):
        self.assertIsNone(
            console.sign(
                'BdsDxe: starting Boot0001 "UEFI Misc Device"\n'
                "GRUB loading.\nWelcome to GRUB!\n"
                "Loading Linux 6.1.0 ...\n"
                "[    0.0] Command line: BOOT_IMAGE=/boot/vmlinuz panic=30\n"
                "Begin: Mounting root file system ... done.\n"
                "[  OK  ] Reached target Emergency.\n"
                "debian login: "
            )
        )

    def test_the_unit_that_systemd_waits_for(self):
        text = (
            "[*     ] A start job is running for One (3s / 1min)\n"
            "[ *    ] A start job is running for Two / x (4s / no limit)\n"
        )
        self.assertEqual("Two / x", console.waited_for(text))
        self.assertEqual("", console.waited_for("all is well"))
        text += "[** ] (2 of 3) Job a.service/start running (5s / 2min 7s)\n"
        self.assertEqual("a.service", console.waited_for(text))

    def test_what_did_not_start(self):
        self.assertEqual(
            ["cloud-init.service - Initial cloud-init job"],
            console.failures(
                "[FAILED] Failed to start cloud-init.service - Initial "
                "cloud-init job\n[  OK  ] Started ssh\n"
            ),
        )
