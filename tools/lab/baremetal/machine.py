"""One machine to deploy to, and how it is told to Ironic."""

import dataclasses
import pathlib

from tools.lab import daemon
from tools.lab.baremetal.hypervisor import Hypervisor
from tools.lab.baremetal.network import BRIDGE
from tools.lab.baremetal.redfish import OVMF

DOMAIN = """\
<domain type='{kind}'>
  <name>{name}</name><uuid>{uuid}</uuid>
  <memory unit='MiB'>{memory_mib}</memory><vcpu>{cpus}</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' secure='no'
            type='pflash'>{ovmf}/OVMF_CODE_4M.fd</loader>
    <nvram template='{ovmf}/OVMF_VARS_4M.fd'>{nvram}</nvram>
  </os>
  <features><acpi/><apic/></features>
  <cpu mode='maximum'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='sata' index='0'/>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='unsafe' discard='unmap'/>
      <source file='{disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='bridge'>
      <mac address='{mac}'/><source bridge='{bridge}'/>
      <model type='virtio'/><rom enabled='no'/>
    </interface>
    <serial type='file'>
      <source path='{console}' append='on'/><target port='0'/>
    </serial>
    <rng model='virtio'>
      <backend model='random'>/dev/urandom</backend>
    </rng>
    <memballoon model='none'/>
  </devices>
</domain>
"""


@dataclasses.dataclass(frozen=True)
class Machine:
    """What stands in the rack. UEFI, one virtio disk, one network card.

    ``address`` is what it has once it is deployed, if the config drive says
    so; ``accelerated`` is KVM in place of emulation.
    """

    name: str = "node-1"
    uuid: str = "6f5c1a52-0000-4000-8000-000000000020"
    mac: str = "52:54:00:77:00:20"
    address: str = "10.77.0.20"
    memory_mib: int = 3072
    cpus: int = 2
    disk_gib: int = 10
    accelerated: bool = False

    @property
    def system_id(self) -> str:
        """Its place in the Redfish tree."""
        return f"/redfish/v1/Systems/{self.uuid}"


class Rack:
    """The machines of a hypervisor."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor

    def install(self, machine: Machine) -> None:
        """Put a machine with an empty disk there, switched off."""
        path = self._hypervisor.path
        disk = path / f"{machine.name}.qcow2"
        daemon.run(
            [
                *("qemu-img", "create", "-q", "-f", "qcow2"),
                *(str(disk), f"{machine.disk_gib}G"),
            ],
            log=path / "install.log",
        )
        definition = path / f"{machine.name}.xml"
        definition.write_text(
            DOMAIN.format(
                kind="kvm" if machine.accelerated else "qemu",
                name=machine.name,
                uuid=machine.uuid,
                mac=machine.mac,
                memory_mib=machine.memory_mib,
                cpus=machine.cpus,
                disk=disk,
                bridge=BRIDGE,
                ovmf=OVMF,
                nvram=path / f"{machine.name}.vars",
                console=self.console(machine),
            )
        )
        self._hypervisor.virsh("define", definition)

    def console(self, machine: Machine) -> pathlib.Path:
        """The file with all that it wrote on its serial line."""
        return self._hypervisor.path / f"{machine.name}-console.log"

    def is_on(self, machine: Machine) -> bool:
        """It has power."""
        state = self._hypervisor.virsh("domstate", machine.name)
        return state.strip() == "running"
