"""The tables of the first version."""

from alembic import op
import sqlalchemy as sa

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "artefacts",
        sa.Column("build_uuid", sa.String(length=36), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("virtual_size", sa.BigInteger(), nullable=False),
        sa.Column("sha512", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint(
            "build_uuid", "epoch", "format", name=op.f("pk_artefacts")
        ),
    )
    op.create_table(
        "attempts",
        sa.Column("build_uuid", sa.String(length=36), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("builder_uuid", sa.String(length=36), nullable=False),
        sa.Column("builder_name", sa.String(length=255), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("first_report_at", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint(
            "build_uuid", "epoch", name=op.f("pk_attempts")
        ),
    )
    op.create_table(
        "build_elements",
        sa.Column("build_uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint(
            "build_uuid", "name", name=op.f("pk_build_elements")
        ),
    )
    op.create_table(
        "builders",
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("secret_hash", sa.String(length=255), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("session", sa.String(length=36), nullable=True),
        sa.Column("architectures", sa.JSON(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=True),
        sa.Column("enrolled_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_builders")),
        sa.UniqueConstraint("name", name=op.f("uq_builders_name")),
    )
    op.create_table(
        "builds",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("elements", sa.JSON(), nullable=False),
        sa.Column("architecture", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("fault", sa.JSON(), nullable=True),
        sa.Column("attempts_counted", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.Double(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("release_decided", sa.Boolean(), nullable=False),
        sa.Column("publish_failures", sa.Integer(), nullable=False),
        sa.Column("log_dropped", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("builder_uuid", sa.String(length=36), nullable=True),
        sa.Column("session", sa.String(length=36), nullable=True),
        sa.Column("claim_id", sa.String(length=36), nullable=True),
        sa.Column("lease_expires_at", sa.Double(), nullable=True),
        sa.Column("lease_nonce", sa.String(length=64), nullable=True),
        sa.Column("lease_secret_hash", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_builds")),
        sa.UniqueConstraint("claim_id", name=op.f("uq_builds_claim_id")),
        sa.UniqueConstraint("uuid", name=op.f("uq_builds_uuid")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_builds_project_id"), "builds", ["project_id"], unique=False
    )
    op.create_index("ix_builds_queue", "builds", ["state", "id"], unique=False)
    op.create_table(
        "elements",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("description", sa.JSON(), nullable=False),
        sa.Column("registered_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "digest", name=op.f("pk_elements")),
    )
    op.create_table(
        "events",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("build_uuid", sa.String(length=36), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint(
            "build_uuid",
            "epoch",
            "sequence",
            name=op.f("uq_events_build_uuid_epoch_sequence"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "log_chunks",
        sa.Column("build_uuid", sa.String(length=36), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=True),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(length=16777216), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(
            "build_uuid", "epoch", "sequence", name=op.f("pk_log_chunks")
        ),
    )
    op.create_index(
        "ix_log_chunks_start",
        "log_chunks",
        ["build_uuid", "start"],
        unique=False,
    )
    op.create_table(
        "publications",
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("build_uuid", sa.String(length=36), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_publications")),
        sa.UniqueConstraint(
            "build_uuid",
            "epoch",
            "format",
            "target",
            name=op.f("uq_publications_build_uuid_epoch_format_target"),
        ),
    )
    op.create_index(
        op.f("ix_publications_build_uuid"),
        "publications",
        ["build_uuid"],
        unique=False,
    )
    op.create_table(
        "builder_elements",
        sa.Column("builder_uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["builder_uuid"],
            ["builders.uuid"],
            name=op.f("fk_builder_elements_builder_uuid"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "builder_uuid", "name", name=op.f("pk_builder_elements")
        ),
    )
