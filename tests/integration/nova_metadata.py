"""What Nova says to a machine of itself, by Nova's own code, in its venv.

    python nova_metadata.py drive DESCRIBED PATH   write a config drive
    python nova_metadata.py serve DESCRIBED        be the metadata service

``DESCRIBED`` is a JSON file of what ``test_last_mile.Machine`` has. The
service reads it anew for each request, and prints the port of 127.0.0.1 that
it answers on. Nova has no database here: what it would find there is given.
It imports nothing of this project.
"""

import functools
import json
import pathlib
import socketserver
import sys
from wsgiref import simple_server

from nova import config, objects
from nova.api.metadata import base, handler, password
import nova.conf
from nova.network import model, security_group_api
from nova.virt import configdrive


def main(action, described, *words):
    config.parse_args(["nova", "--config-file", "/dev/null"])
    nova.conf.CONF.set_override("metadata_cache_expiration", 0, "api")
    # The machine's name is its domain's, too.
    nova.conf.CONF.set_override("dhcp_domain", "", "api")
    objects.register_all()
    base._format_instance_mapping = lambda instance: {}
    security_group_api.get_instance_security_groups = lambda *words: []
    password.extract_password = lambda instance: ""
    {"drive": drive, "serve": serve}[action](described, *words)


def drive(described, path):
    with configdrive.ConfigDriveBuilder(metadata(described)) as builder:
        builder.make_drive(path)


def serve(described):
    application = handler.MetadataRequestHandler()
    # Whoever asks is the machine: its network is no other's.
    application.get_metadata_by_remote_address = functools.partial(
        metadata, described
    )
    with simple_server.make_server(
        "127.0.0.1", 0, application, server_class=Server
    ) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


def metadata(described, address=None):
    machine = json.loads(pathlib.Path(described).read_text())
    return base.InstanceMetadata(
        instance(machine), address=address, network_info=network(machine)
    )


def instance(machine):
    return objects.Instance(
        uuid=machine["uuid"],
        id=1,
        project_id="0" * 32,
        user_id="1" * 32,
        hostname=machine["name"],
        display_name=machine["name"],
        launch_index=0,
        reservation_id="r-1",
        availability_zone="nova",
        key_name="mine",
        key_data=machine["public_key"],
        keypairs=objects.KeyPairList(
            objects=[
                objects.KeyPair(
                    name="mine",
                    type="ssh",
                    public_key=machine["public_key"],
                )
            ]
        ),
        flavor=objects.Flavor(name="metal"),
        ec2_ids=objects.EC2Ids(
            instance_id="i-1", ami_id="ami-1", kernel_id=None, ramdisk_id=None
        ),
        user_data=machine["user_data"],
        metadata={},
        system_metadata={},
        device_metadata=None,
        numa_topology=None,
    )


def network(machine):
    """What Neutron would have told: one port, with an address of its own."""
    subnet = model.Subnet(
        cidr=machine["network"],
        version=4,
        dns=[model.IP(machine["nameserver"], type="dns")],
        gateway=model.IP(machine["gateway"], type="gateway"),
        ips=[model.FixedIP(address=machine["address"])],
        routes=[
            model.Route(
                cidr=machine["route"], gateway=model.IP(machine["via"])
            )
        ],
    )
    port = model.VIF(
        id="3f1c1a52-0000-4000-8000-000000000031",
        address=machine["mac"],
        type=model.VIF_TYPE_OVS,
        network=model.Network(
            id="3f1c1a52-0000-4000-8000-000000000032",
            label="private",
            subnets=[subnet],
            mtu=1400,
        ),
    )
    return model.NetworkInfo([port])


main(*sys.argv[1:])
