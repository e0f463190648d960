"""Which rule lets Ironic read an image, or none."""

import dataclasses

from tests.unit.client.deployable import base

PRIVATE = {"visibility": "private"}
SHARED = {"visibility": "shared"}


class TestAccess(base.RuleCase):
    def test_everybody_may(self):
        for visibility in ("public", "community"):
            self.assert_says(
                "ok",
                "access",
                base.case(image={"visibility": visibility}),
                visibility,
            )

    def test_the_bare_metal_project_owns_it(self):
        owned = {**PRIVATE, "owner": base.BARE_METAL}
        self.assert_says("ok", "access", base.case(image=owned), "owns it")
        # Ironic asks for private ones only, and for its own project.
        self.assert_says(
            "problem",
            "access",
            self.by_ironic(
                {**owned, "visibility": "shared"},
                members={base.IMAGE_ID: {}},
            ),
        )

    def by_ironic(self, image, **changes):
        """Without Nova."""
        judged = base.case(image=image)
        return dataclasses.replace(judged, flavor=None, **changes)

    def test_shared(self):
        for status, verdict, words in (
            ("accepted", "ok", "accepted"),
            ("pending", "warning", "--accept"),
            ("rejected", "warning", "rejected"),
        ):
            self.assert_says(
                verdict,
                "access",
                self.by_ironic(
                    SHARED,
                    members={base.IMAGE_ID: {base.BARE_METAL: status}},
                ),
                words,
            )

    def test_shared_with_others_only(self):
        self.assert_says(
            "problem",
            "access",
            self.by_ironic(
                SHARED, members={base.IMAGE_ID: {base.ASKER: "accepted"}}
            ),
            "openstack image add project",
            base.BARE_METAL,
        )

    def test_shared_with_whom_one_may_not_read(self):
        self.assert_says(
            "warning", "access", self.by_ironic(SHARED), "ask its owner"
        )

    def test_private_and_no_admin(self):
        self.assert_says(
            "problem",
            "access",
            self.by_ironic(PRIVATE),
            "no admin",
            "openstack image set --shared",
        )

    def test_an_admin_asks(self):
        self.assert_says(
            "ok",
            "access",
            self.by_ironic(PRIVATE, admin=True),
            "ignore_project_check_for_admin_tasks",
        )

    def test_nova_asks(self):
        """Whether Nova's user is an admin, nobody outside can see."""
        for admin in (True, False):
            self.assert_says(
                "warning",
                "access",
                base.case(image=PRIVATE, admin=admin),
                "Nova's user",
            )

    def test_no_project_was_named(self):
        self.assert_says(
            "warning",
            "access",
            self.by_ironic(PRIVATE, project_id=None),
            "--bare-metal-project",
        )

    def test_kernel_and_ramdisk_are_asked_of_too(self):
        judged = base.case(
            image=base.PARTITION,
            linked={
                "kernel_id": {**base.KERNEL, **PRIVATE},
                "ramdisk_id": None,
            },
        )
        self.assert_says("warning", "access to kernel", judged, base.KERNEL_ID)
        self.assert_silent("access to ramdisk", judged)

    def test_what_deploys_is_seen_by_whoever_deploys(self):
        unseen = base.case(deploy={"deploy_kernel": None})
        self.assert_says(
            "warning",
            "agent's kernel",
            unseen,
            base.KERNEL_ID,
            "Nova's user",
        )
        self.assert_says(
            "problem",
            "agent's kernel",
            dataclasses.replace(unseen, flavor=None),
            base.KERNEL_ID,
            "as whoever deploys",
        )

    def test_what_deploys_is_read_by_the_same_rules(self):
        for changes, verdict, words in (
            ({}, "ok", "public"),
            ({**PRIVATE, "owner": base.BARE_METAL}, "ok", "owns it"),
            (PRIVATE, "problem", "no admin"),
            ({"status": "deactivated"}, "problem", "deactivated"),
        ):
            judged = base.case(
                deploy={"deploy_ramdisk": {**base.RAMDISK, **changes}}
            )
            self.assert_says(
                verdict,
                "agent's ramdisk",
                dataclasses.replace(judged, flavor=None),
                words,
            )

    def test_a_ramdisk_deploy_needs_no_agent(self):
        self.assert_silent(
            "agent's kernel",
            base.case(
                node={"deploy_interface": "ramdisk"},
                deploy={"deploy_kernel": None},
            ),
        )
