"""``openstack image build create``: asking for a build, and waiting for it."""

import argparse
from typing import Any

from osc_lib.command import command

from dib_service.client import arguments, columns, follow, keys, plugin, sdk
from dib_service.client import patience as patience_lib
from dib_service.client import progress as progress_lib

# The exit status of a program that Ctrl-C ended.
INTERRUPTED = 130


class CreateBuild(command.ShowOne):
    """Build an image out of elements and put it into the image service.

    One of the elements must be a base distribution, for example debian;
    `openstack image element list` shows what there is. Without --wait the
    command ends as soon as the service has taken the build.
    """

    # "-f json" is how the answer is printed; "--format qcow2" is a format of
    # the image, as the request and the image service call it.
    conflict_handler = "resolve"

    exit_status = 0

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """What may be asked for."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "name", metavar="<name>", nargs="?", help="Name of the build"
        )
        _add_content_arguments(parser)
        _add_image_arguments(parser)
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help=(
                "Only show the elements, phases and hooks that the build "
                "would consist of"
            ),
        )
        parser.add_argument(
            "--wait",
            action="store_true",
            help=(
                "Wait until the build has ended, showing its progress on "
                "stderr; the exit status is not zero unless it is complete"
            ),
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> columns.Card:
        """Ask for the build."""
        client = plugin.client_of(self)
        wanted = _wanted(parsed_args)
        if parsed_args.dry_run:
            return columns.plan_card(client.plan_build(**wanted))
        build = client.create_build(**wanted)
        if parsed_args.wait:
            build = self._wait(client, build)
        return columns.build_card(build)

    def run(self, parsed_args: argparse.Namespace) -> int:
        """The exit status: not zero when the build was waited for in vain."""
        return super().run(parsed_args) or self.exit_status

    def _wait(self, client: sdk.Proxy, build: sdk.Build) -> sdk.Build:
        err = self.app.stderr
        err.write(f"Build {build.id}\n")
        progress = progress_lib.Progress(err)
        patience = patience_lib.Patience(tell=progress.trouble)
        try:
            build = follow.to_the_end(
                client, build, tell=progress.tell, patience=patience
            )
        except KeyboardInterrupt:
            progress.close()
            err.write(_what_next(build.id, "The build goes on."))
            self.exit_status = INTERRUPTED
            return build
        except Exception:
            progress.close()
            err.write(_what_next(build.id, "The build may well go on."))
            raise
        progress.close()
        if build.state != "complete":
            err.write(progress_lib.epitaph(build) + "\n")
            self.exit_status = 1
        return build


def _add_content_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--element",
        metavar="<element>",
        action="append",
        required=True,
        help="Element to build with (repeat for several)",
    )
    parser.add_argument(
        "--env",
        metavar="<NAME=VALUE>",
        dest="environment",
        type=arguments.variable,
        action=arguments.Collect,
        help=(
            "Variable for the elements, for example DIB_RELEASE=bookworm "
            "(repeat for several); no place for secrets: it is stored and "
            "logged"
        ),
    )
    parser.add_argument(
        "--ssh-key",
        metavar="<file-or-key>",
        dest="ssh_keys",
        type=keys.public_key,
        action="append",
        help=(
            "Public ssh key that goes into the image: a file such as "
            "~/.ssh/id_ed25519.pub, or the key itself (repeat for several). "
            "It lets its owner into every machine of the image, as the "
            "distribution's default user"
        ),
    )
    parser.add_argument(
        "--proxy",
        metavar="<URL>",
        type=arguments.proxy,
        help=(
            "HTTP proxy that goes into the image, for http and https, for "
            "example http://proxy.example.com:3128; without user and "
            "password. The build itself does not use it"
        ),
    )
    parser.add_argument(
        "--no-proxy",
        metavar="<host>",
        action="append",
        help=(
            "Host, domain, address or network that the machines of the "
            "image reach without the proxy (repeat for several)"
        ),
    )
    parser.add_argument(
        "--skip-base",
        action="store_true",
        help="Leave out the element base, which is part of every build",
    )
    parser.add_argument(
        "--arch",
        metavar="<architecture>",
        help="Machine that the image is for, for example x86_64 or aarch64",
    )
    parser.add_argument(
        "--format",
        "--disk-format",
        metavar="<format>",
        dest="formats",
        action="append",
        help=(
            "Disk format of the image: qcow2 or raw (repeat for several); "
            "for the format of this command's output use -f"
        ),
    )
    parser.add_argument(
        "--disk-size",
        metavar="<GiB>",
        type=arguments.gibibytes,
        help="Size of the whole disk in GiB (default: just large enough)",
    )
    parser.add_argument(
        "--no-boot-test",
        action="store_true",
        help=(
            "Publish the image without having seen it boot (by default for "
            "managers only; the image says so)"
        ),
    )


def _add_image_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--image-name",
        metavar="<image-name>",
        help="Name of the image (default: the name of the build)",
    )
    parser.add_argument(
        "--property",
        metavar="<KEY=VALUE>",
        dest="properties",
        type=arguments.image_property,
        action=arguments.Collect,
        help="Property of the image (repeat for several)",
    )
    parser.add_argument(
        "--visibility",
        choices=("private", "shared", "community", "public"),
        help="Who may see the image (default: shared with its members, else "
        "private)",
    )
    parser.add_argument(
        "--member",
        metavar="<project-id>",
        dest="members",
        action="append",
        help=(
            "Project to share the image with, or baremetal for that of "
            "Ironic's own user (repeat for several)"
        ),
    )
    parser.add_argument(
        "--protected",
        action="store_true",
        help="Keep the image from being deleted",
    )
    parser.add_argument(
        "--tag",
        metavar="<tag>",
        dest="tags",
        action="append",
        help="Tag of the image (repeat for several)",
    )
    parser.add_argument(
        "--trait",
        metavar="<trait>",
        dest="traits",
        action="append",
        help=(
            "Trait that a machine must have for the image, for example "
            "CUSTOM_GPU (repeat for several)"
        ),
    )
    parser.add_argument(
        "--target",
        metavar="<target>",
        dest="targets",
        action="append",
        help=(
            "Place to publish the image to, as the operator named it "
            "(default: the operator's first, as a rule glance, the image "
            "service of this cloud; repeat for several)"
        ),
    )


def _wanted(parsed_args: argparse.Namespace) -> dict[str, Any]:
    image = {
        "name": parsed_args.image_name,
        "visibility": parsed_args.visibility,
        "properties": parsed_args.properties,
        "members": parsed_args.members,
        "protected": parsed_args.protected or None,
        "tags": parsed_args.tags,
        "traits": parsed_args.traits,
        "targets": parsed_args.targets,
    }
    wanted = {
        "name": parsed_args.name,
        "elements": parsed_args.element,
        "skip_base": parsed_args.skip_base or None,
        "boot_test": False if parsed_args.no_boot_test else None,
        "formats": parsed_args.formats,
        "architecture": parsed_args.arch,
        "environment": parsed_args.environment,
        "disk_size_gib": parsed_args.disk_size,
        "proxy": _proxy(parsed_args) or None,
        "ssh_keys": parsed_args.ssh_keys,
        "image": arguments.given(image) or None,
    }
    return arguments.given(wanted)


def _proxy(parsed_args: argparse.Namespace) -> dict[str, Any]:
    proxy = {
        "http": parsed_args.proxy,
        "https": parsed_args.proxy,
        "no_proxy": parsed_args.no_proxy,
    }
    return arguments.given(proxy)


def _what_next(build_id: str, sentence: str) -> str:
    return (
        f"{sentence}\n"
        f"  To follow it: openstack image build log --follow {build_id}\n"
        f"  To stop it:   openstack image build cancel {build_id}\n"
    )
