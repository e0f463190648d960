"""dib-manage: the operator's commands, to the database and to Glance."""

import argparse
from collections.abc import Callable, Sequence
import pathlib
import sys

from keystoneauth1 import exceptions as ksa_exc

from dib_service import conf, exception
from dib_service.conductor import cloud
from dib_service.db import migrations
from dib_service.objects import build
from dib_service.objects.builder import Builder
from dib_service.publish import metadefs

PAGE = 100
DAY_SECONDS = 86400.0


def main() -> None:
    """Run one command; exit 1 with a sentence when it cannot be done."""
    arguments = _parser().parse_args()
    files = [
        word
        for path in arguments.config_file
        for word in ("--config-file", path)
    ]
    conf.load(files, prog="dib-manage")
    try:
        arguments.command(arguments)
    except exception.DibServiceError as error:
        sys.exit(f"dib-manage: {error.message}")


def db_sync(arguments: argparse.Namespace) -> None:
    """Create or migrate the tables."""
    migrations.sync()


def db_version(arguments: argparse.Namespace) -> None:
    """Show the revision of the database, and the one that is needed."""
    print(f"{migrations.version()} (needed: {migrations.head()})")


def builder_enrol(arguments: argparse.Namespace) -> None:
    """Make a builder known; its secret is shown this once."""
    builder, secret = Builder.enrol(arguments.name)
    if arguments.porcelain:
        print(builder.id, secret)
        return
    print("# For the builder's configuration. The secret is not shown again.")
    print("[builder]")
    print(f"id = {builder.id}")
    print(f"secret = {secret}")


def builder_list(arguments: argparse.Namespace) -> None:
    """Show all builders."""
    row = "{:36}  {:24}  {:8}  {:5}  {:7}  {}".format
    print(row("id", "name", "enabled", "alive", "running", "slots"))
    for builder in _builders():
        print(
            row(
                builder.id,
                builder.name,
                _word(builder.enabled),
                _word(builder.alive),
                builder.running,
                builder.slots,
            )
        )


def builder_disable(arguments: argparse.Namespace) -> None:
    """Give a builder no more builds; what it runs goes on."""
    Builder.get(arguments.name).enable(False)


def builder_enable(arguments: argparse.Namespace) -> None:
    """Give a builder builds again."""
    Builder.get(arguments.name).enable(True)


def builder_remove(arguments: argparse.Namespace) -> None:
    """Forget a builder; what it runs is given to others."""
    Builder.get(arguments.name).remove()


def purge(arguments: argparse.Namespace) -> None:
    """Forget builds that ended that many days ago; their images stay."""
    count = build.purge(arguments.older_than * DAY_SECONDS)
    print(f"{count} builds forgotten")


def metadef_load(arguments: argparse.Namespace) -> None:
    """Tell Glance what the dib_* properties of images mean."""
    try:
        wanted = metadefs.definition(arguments.file)
    except (OSError, ValueError) as error:
        sys.exit(f"dib-manage: no namespace can be read: {error}")
    try:
        done = cloud.Cloud(conf.CONF).metadefs().load(wanted)
    except ksa_exc.ClientException as error:
        sys.exit(f"dib-manage: Glance: {error}")
    print(f"{wanted['namespace']} {done}")


def _builders() -> Sequence[Builder]:
    found: list[Builder] = []
    marker = None
    while page := Builder.list(limit=PAGE, marker=marker):
        found += page
        marker = page[-1].id
    return found


def _word(claim: bool) -> str:
    return "yes" if claim else "no"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dib-manage", description=__doc__)
    parser.add_argument(
        "--config-file", action="append", default=[], metavar="PATH"
    )
    nouns = parser.add_subparsers(required=True, metavar="COMMAND")

    database = nouns.add_parser("db", help="the tables")
    verbs = database.add_subparsers(required=True, metavar="VERB")
    for name, command in (("sync", db_sync), ("version", db_version)):
        _add(verbs, name, command)

    builder = nouns.add_parser("builder", help="builder hosts")
    verbs = builder.add_subparsers(required=True, metavar="VERB")
    _add(verbs, "list", builder_list)
    enrol = _add(verbs, "enrol", builder_enrol)
    enrol.add_argument("name")
    enrol.add_argument(
        "--porcelain",
        action="store_true",
        help="print id and secret on one line, for a program",
    )
    for name, command in (
        ("disable", builder_disable),
        ("enable", builder_enable),
        ("remove", builder_remove),
    ):
        _add(verbs, name, command).add_argument("name", help="name or id")

    metadef = nouns.add_parser("metadef", help="definitions in Glance")
    verbs = metadef.add_subparsers(required=True, metavar="VERB")
    load = _add(verbs, "load", metadef_load)
    load.add_argument(
        "--file",
        type=pathlib.Path,
        metavar="PATH",
        help="another namespace than the one that came with the service",
    )

    old = _add(nouns, "purge", purge)
    old.add_argument("--older-than", type=float, required=True, metavar="DAYS")
    return parser


def _add(
    parsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Callable[[argparse.Namespace], None],
) -> argparse.ArgumentParser:
    parser = parsers.add_parser(name, help=command.__doc__)
    parser.set_defaults(command=command)
    return parser
