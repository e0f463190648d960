"""Artefacts have a role; each publication has its own state and trouble."""

from alembic import op
import sqlalchemy as sa

revision = "0002"
down_revision = "0001"

# So SQLite's nameless constraints of a copied table get their names back.
NAMES = {"pk": "pk_%(table_name)s"}


def upgrade() -> None:
    """Tell images from kernels and ramdisks, and targets from each other."""
    with op.batch_alter_table("artefacts", naming_convention=NAMES) as table:
        table.add_column(_role())
        table.drop_constraint("pk_artefacts", type_="primary")
        table.create_primary_key(
            "pk_artefacts", ["build_uuid", "epoch", "role", "format"]
        )
    with op.batch_alter_table(
        "publications", naming_convention=NAMES
    ) as table:
        table.add_column(_role())
        table.add_column(_number("number", "1"))
        table.add_column(sa.Column("fault", sa.JSON(), nullable=True))
        table.add_column(sa.Column("location", sa.Text(), nullable=True))
        table.add_column(_number("failures", "0"))
        table.add_column(
            sa.Column(
                "not_before", sa.Double(), server_default="0", nullable=False
            )
        )
        table.add_column(sa.Column("give_up_at", sa.Double(), nullable=True))
        table.add_column(
            sa.Column(
                "swept",
                sa.Boolean(),
                server_default=sa.false(),
                nullable=False,
            )
        )
        table.drop_constraint(
            "uq_publications_build_uuid_epoch_format_target", type_="unique"
        )
        table.create_unique_constraint(
            "uq_publications_place",
            ["build_uuid", "epoch", "target", "role", "format", "number"],
        )
        table.create_index("ix_publications_due", ["state", "not_before"])
    # What is on its way has an end, too: a day, as by default.
    op.execute(
        "UPDATE publications SET give_up_at = updated_at + 86400 "
        "WHERE state IN ('uploaded', 'releasing')"
    )
    op.drop_column("builds", "publish_failures")


def _role() -> sa.Column[str]:
    # What was there before were images.
    return sa.Column(
        "role", sa.String(length=16), server_default="image", nullable=False
    )


def _number(name: str, default: str) -> sa.Column[int]:
    return sa.Column(
        name, sa.Integer(), server_default=default, nullable=False
    )
