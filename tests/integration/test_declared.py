"""One Debian image of all that an element can declare, with the real apt."""

import json
from pathlib import Path
import subprocess

from tests.integration.engine import tiny

ELEMENTS = Path(__file__).parents[2] / "elements"

DEPENDENCIES = """\
cleanup-kernel-initrd
cloud-init
cloud-init-disable-resizefs
cloud-init-nocloud
devuser
dib-init-system
element-manifest
install-static
install-types
modprobe
package-installs
select-boot-kernel-initrd
source-repositories
svc-map
sysctl
"""
PACKAGES = """\
tree-of-files:
jq:
  build-only: true
hello:
  uninstall: False
time:
  arch: "arm64, amd64"
bc:
  - phase: post-install.d
nano:
  arch: arm64
less:
  phase: pre-install.d
less2:
  phase: post-install.d
  uninstall: true
"""
PKG_MAP = {
    "default": {"tree-of-files": "none-such", "less2": "less"},
    "family": {"debian": {"tree-of-files": "tree sl"}},
}
# Each word is a fault of the build if it does not hold.
INSIDE = """\
command -v tree; command -v hello; command -v bc
[ "$(svc-map web) $(svc-map cron)" = "apache2 cron" ]
[ "$(dib-python -c 'print(1)') $(dib-init-system)" = "1 systemd" ]
sysctl-set-value net.ipv4.ip_forward 1
[ "$(cat /opt/up/file)" = 1 ]
[ "$(git -C /opt/up config remote.origin.url)" = "$DIB_REPOLOCATION_up" ]
[ -e /tool-of-a-package ]
id devuser
"""
FINALISE = """\
IFS=: read -r kernel ramdisk <<<"$(select-boot-kernel-initrd)"
[ -e "/boot/$kernel" ]; [ -e "/boot/$ramdisk" ]
"""
AT_LAST = """\
cd "$TARGET_ROOT"
[ "$(cat etc/probe)" = static ]
[ "$(ls usr/local/bin | tr '\\n' ' ')" = \
    "probed select-boot-kernel-initrd sysctl-set-value sysctl-write-value " ]
[ ! -e usr/share/pkg-map ]; [ ! -e usr/share/svc-map ]
[ ! -e usr/sbin/policy-rc.d ]; [ ! -e etc/apt/apt.conf.d/95dib-build ]
grep -q 'blacklist floppy' etc/modprobe.d/probe.conf
grep -q 'blacklist pcspkr' etc/modprobe.d/blacklist.conf
[ -e usr/lib/systemd/system/probe.service.d/more.conf ]
[ "$(cat etc/dib-source-repositories)" = /opt/up ]
[ "$(stat --format %a etc/dib-manifests/dib-manifest-git-declared)" = 600 ]
"""
# Its own code says what cloud-init makes of the image, and of its data there.
CLOUD_INIT = """\
#!/bin/bash
chroot "$TARGET_ROOT" python3 - <<'PYTHON'
from cloudinit import stages
from cloudinit.sources import DataSourceNoCloud

init = stages.Init()
init.read_cfg()
assert init.cfg["datasource_list"] == ["NoCloud", "None"], init.cfg
assert init.cfg["growpart"] == {"mode": "off"}, init.cfg
assert init.cfg["resize_rootfs"] is False, init.cfg
source = DataSourceNoCloud.DataSourceNoCloud(
    init.cfg, init.distro, init.paths
)
assert source.get_data()
assert source.get_instance_id() == "nocloud"
PYTHON
"""


class Declared(tiny.TinyBuild):
    def upstream(self) -> Path:
        # A build sees nothing of the host's /tmp but its elements.
        place = self.elements / "upstream"
        subprocess.run(
            ["git", "init", "--quiet", "--initial-branch=master", place],
            check=True,
        )
        (place / "file").write_text("1")
        git = ("git", "-C", place, "-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "--quiet", "-m", "1"], check=True)
        return place

    def test_a_machine_of_them_all(self) -> None:
        self.element(
            "probe",
            {
                "element-deps": DEPENDENCIES,
                "package-installs.yaml": PACKAGES,
                "pkg-map": json.dumps(PKG_MAP),
                "svc-map": "web: {debian: apache2, default: httpd}\n",
                "source-repository-up": "up git /opt/up http://none HEAD\n",
                "modprobe.d/probe.conf": "#!\nblacklist floppy\n",
                "static/etc/probe": "static\n",
                "static/etc/probe.orig": "left out\n",
                "bin/probed": "#!/bin/bash\n",
                "init-scripts/systemd/probe.service": "[Unit]\n",
                "init-scripts/systemd/probe.service.d/more.conf": "[Unit]\n",
                "install.d/tool-package-install/50-tool": (
                    "#!/bin/bash\ntouch /tool-of-a-package\n"
                ),
                "install.d/60-probe": "command -v jq",
                "post-install.d/50-probe": f"set -o pipefail\n{INSIDE}",
                "finalise.d/50-probe": FINALISE,
                "cleanup.d/98-probe": AT_LAST,
                "cleanup.d/99-probe-cloud-init": CLOUD_INIT,
            },
        )
        running = self.build(
            options=("--element-path", f"{self.elements}:{ELEMENTS}"),
            elements=["debian-minimal", "probe"],
            name="declared",
            environment={
                "DIB_DEBIAN_KERNEL": "linux-image-cloud-amd64",
                "DIB_DEV_USER_PASSWORD": "hunter2",
                "DIB_INSTALLTYPE_tool": "package",
                "DIB_MODPROBE_BLACKLIST": "pcspkr",
                "DIB_REPOLOCATION_up": str(self.upstream()),
                "DIB_REPOREF_up": "master",
            },
        )
        text = "\n".join(
            event["text"] for event in running.events if "text" in event
        )
        self.assertEqual(0, running.process.returncode, text[-2000:])
        self.assertNotIn("hunter2", text)
        saved = self.output / "declared.d/dib-manifests"
        listed = json.loads(
            (saved / "dib-manifest-dpkg-declared").read_text()
        )["packages"]
        there = {each["package"] for each in listed}
        self.assertLessEqual(
            {"tree", "sl", "hello", "time", "bc", "git", "sudo"}, there
        )
        self.assertEqual(set(), {"jq", "nano", "less"} & there)
        elements = (saved / "dib-element-manifest").read_text().split()
        self.assertIn("probe", elements)
        asked = (saved / "dib_environment").read_text()
        self.assertIn("DIB_DEV_USER_PASSWORD='(hidden)'", asked)
        self.assertIn("DIB_MODPROBE_BLACKLIST=pcspkr", asked)
        self.assert_nothing_is_left()
