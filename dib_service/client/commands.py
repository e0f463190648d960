"""``openstack image build …``, ``image builder …`` and ``image element …``."""

import argparse
from collections.abc import Callable, Sequence
import os
import sys
from typing import Any

from osc_lib import exceptions as osc_exceptions
from osc_lib.command import command

from dib_service.client import (
    arguments,
    columns,
    follow,
    plugin,
    sdk,
    terminal,
)
from dib_service.client import patience as patience_lib

STATES = (
    "queued",
    "building",
    "verifying",
    "publishing",
    "complete",
    "failed",
    "cancelled",
)


class ListBuilds(command.Lister):
    """List builds, newest first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """What may be asked for."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--all-projects",
            action="store_true",
            help="List the builds of all projects (admin only)",
        )
        parser.add_argument(
            "--state", choices=STATES, help="List only builds in this state"
        )
        parser.add_argument(
            "--name", metavar="<name>", help="List only builds of this name"
        )
        parser.add_argument(
            "--long", action="store_true", help="Show more of each build"
        )
        _add_page_arguments(parser, "<build>", "build of this ID", str)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> columns.Table:
        """Ask for the builds."""
        builds = plugin.client_of(self).builds(
            **arguments.given(
                {
                    "state": parsed_args.state,
                    "name": parsed_args.name,
                    "marker": parsed_args.marker,
                    "max_items": parsed_args.limit,
                    "all_projects": parsed_args.all_projects or None,
                }
            )
        )
        titles: tuple[str, ...] = (
            "ID", "Name", "State", "Image IDs", "Created At",
        )  # fmt: skip
        if parsed_args.long:
            titles += (
                "Ended At", "Elements", "Architecture", "Formats",
                "Boot Test", "Targets", "Project ID", "Fault",
            )  # fmt: skip
        return titles, (_build_row(build)[: len(titles)] for build in builds)


def _add_page_arguments(
    parser: argparse.ArgumentParser,
    metavar: str,
    after: str,
    marker: Callable[[str], Any],
) -> None:
    parser.add_argument(
        "--limit",
        metavar="<number>",
        type=arguments.count,
        help="Show at most so many (default: all)",
    )
    parser.add_argument(
        "--marker",
        metavar=metavar,
        type=marker,
        help=f"Show those after the {after}",
    )


def _build_row(build: sdk.Build) -> columns.Row:
    return (
        build.id,
        build.name,
        build.state,
        columns.Words(build.image_ids),
        build.created_at,
        build.ended_at,
        columns.Words(build.elements),
        build.architecture,
        columns.Words(build.formats),
        build.boot_test,
        columns.Words((build.image or {}).get("targets")),
        build.project_id,
        (build.fault or {}).get("message"),
    )


class ShowBuild(command.ShowOne):
    """Show a build: its state, attempts, artefacts, images and fault."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """What may be asked for."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "build", metavar="<build>", help="Build to show (ID or name)"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> columns.Card:
        """Ask for the build."""
        client = plugin.client_of(self)
        return columns.build_card(_found(client, parsed_args.build))


def _found(client: sdk.Proxy, name_or_id: str) -> sdk.Build:
    build = client.find_build(name_or_id)
    # A list tells less of a build than the build itself does.
    return build if build.id == name_or_id else client.get_build(build.id)


class CancelBuild(command.Command):
    """Cancel builds that have not ended; what they made is removed."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """What may be asked for."""
        parser = super().get_parser(prog_name)
        _add_builds_argument(parser, "cancel")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Ask for each build to stop.

        :raises CommandError: not all of them could be asked.
        """
        client = plugin.client_of(self)
        _for_each(client, parsed_args.builds, client.cancel_build, "cancel")


class DeleteBuild(command.Command):
    """Delete ended builds with their logs; their images stay."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """What may be asked for."""
        parser = super().get_parser(prog_name)
        _add_builds_argument(parser, "delete")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete each build.

        :raises CommandError: not all of them could be deleted.
        """
        client = plugin.client_of(self)
        _for_each(client, parsed_args.builds, client.delete_build, "delete")


def _add_builds_argument(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument(
        "builds",
        metavar="<build>",
        nargs="+",
        help=f"Build(s) to {verb} (ID or name)",
    )


def _for_each(
    client: sdk.Proxy,
    names: Sequence[str],
    act: Callable[[sdk.Build], None],
    verb: str,
) -> None:
    problems = []
    for name in names:
        try:
            act(client.find_build(name))
        except Exception as exc:  # one item of a list
            sdk.LOG.debug("%s %s", verb, name, exc_info=True)
            problems.append(f"{name}: {exc}")
    if problems:
        total = f"{len(problems)} of {len(names)} builds failed to {verb}"
        raise osc_exceptions.CommandError("\n".join([*problems, total]))


class ShowLog(command.Command):
    """Print the log of a build, byte for byte.

    On a terminal, what would command it is shown escaped.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """What may be asked for."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "build", metavar="<build>", help="Build (ID or name)"
        )
        parser.add_argument(
            "--follow",
            action="store_true",
            help="Go on until the log is complete, as the build writes it",
        )
        parser.add_argument(
            "--offset",
            metavar="<bytes>",
            type=arguments.position,
            default=0,
            help="Leave out so many bytes at the beginning",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Print what there is, or all that comes."""
        client = plugin.client_of(self)
        err = self.app.stderr
        patience = patience_lib.Patience(
            seconds=300.0 if parsed_args.follow else 0.0,
            tell=lambda error: _tell_cut(err, error),
        )
        out = sys.stdout.buffer
        build = client.find_build(parsed_args.build)
        try:
            data = follow.log(
                client,
                build.id,
                offset=parsed_args.offset,
                keep_on=parsed_args.follow,
                patience=patience,
            )
            if sys.stdout.isatty():
                data = terminal.shown(data, sys.stdout.encoding)
            for piece in data:
                out.write(piece)
                out.flush()
        except BrokenPipeError:
            # Whoever read us, head for example, has seen enough; Python
            # would complain once more when it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell_cut(stream: Any, error: Exception) -> None:
    what = str(error).splitlines()[0] if str(error) else repr(error)
    stream.write(f"no answer from the API, asking again: {what}\n")
    stream.flush()


class ListEvents(command.Lister):
    """List what a build did: phases, hooks, artefacts, faults, in order."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """What may be asked for."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "build", metavar="<build>", help="Build (ID or name)"
        )
        parser.add_argument(
            "--long", action="store_true", help="Show all facts of each event"
        )
        _add_page_arguments(
            parser, "<event>", "event of this ID", arguments.position
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> columns.Table:
        """Ask for the events."""
        client = plugin.client_of(self)
        events = client.build_events(
            client.find_build(parsed_args.build),
            **arguments.given(
                {
                    "marker": parsed_args.marker,
                    "max_items": parsed_args.limit,
                }
            ),
        )
        titles: tuple[str, ...] = (
            "ID", "Time", "Attempt", "Kind", "Phase", "Element", "Hook",
            "State", "Seconds", "Exit Code",
        )  # fmt: skip
        if parsed_args.long:
            titles += ("Facts",)
        return titles, (_event_row(event)[: len(titles)] for event in events)


def _event_row(event: sdk.Event) -> columns.Row:
    return (
        event.id,
        event.time,
        event.epoch,
        event.kind,
        event.phase,
        event.element,
        event.hook,
        event.state,
        event.seconds,
        event.exit_code,
        columns.Facts(event.facts),
    )


class ListBuilders(command.Lister):
    """List the hosts that run builds."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """What may be asked for."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--long", action="store_true", help="Show more of each builder"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> columns.Table:
        """Ask for the builders."""
        titles: tuple[str, ...] = (
            "ID", "Name", "Enabled", "Alive", "Architectures", "Slots",
            "Running",
        )  # fmt: skip
        if parsed_args.long:
            titles += ("Version", "Enrolled At", "Seen At")
        builders = plugin.client_of(self).builders()
        return titles, (
            (
                builder.id,
                builder.name,
                builder.enabled,
                builder.alive,
                columns.Words(builder.architectures),
                builder.slots,
                builder.running,
                builder.version,
                builder.enrolled_at,
                builder.seen_at,
            )[: len(titles)]
            for builder in builders
        )


class ListElements(command.Lister):
    """List the elements that images can be built out of."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """What may be asked for."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--long", action="store_true", help="Show more of each element"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> columns.Table:
        """Ask for the elements."""
        titles: tuple[str, ...] = ("Name", "Summary")
        if parsed_args.long:
            titles += ("Dependencies", "Provides", "Digest")
        elements = plugin.client_of(self).elements()
        return titles, (
            (
                element.name,
                element.summary,
                columns.Words(element.dependencies),
                columns.Words(element.provides),
                element.digest,
            )[: len(titles)]
            for element in elements
        )
