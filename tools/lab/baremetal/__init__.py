"""Bare metal for a lab: real Ironic, and machines that it can deploy to.

    running = lab.cloud()              # tests/lab, or tools.lab.cloud
    metal = Baremetal(running, venv)
    metal.start()                      # half a minute
    machine = Machine()
    metal.rack.install(machine)
    node = metal.enrol(machine, kernel=image_id, ramdisk=image_id)
    ...                                # node is "available"
    metal.ssh(machine, key, "true")
    metal.stop()

``tests.lab.baremetal()`` is one that runs for as long as the process. Ironic
is in the catalog as ``baremetal``, at an address of 127.0.0.1 that this host
and the machines' own network both have; so are Keystone and Glance. Who
operates it is ``cloud.operator()``; its own user is ``ironic``, with the
roles service and member in the project ``service``. A service user of that
project with the role ``service``, such as Nova's, sees every node. Network
interface is ``noop``, unless the node says ``flat``; boot
``redfish-virtual-media``, deploy ``direct``, resource class ``baremetal``,
UEFI; a machine has one virtio disk, ``vda``.

A deploy ramdisk gets its address by DHCP; a deployed machine has to be told
one by its config drive (``network_data``), for which ``Machine.address`` is
kept free. What a machine writes on its serial line is in
``rack.console(machine)``.
"""

from tools.lab.baremetal.lab import Baremetal
from tools.lab.baremetal.machine import Machine

__all__ = ("Baremetal", "Machine")
