"""The tables; the row of a build is also its place in the queue."""

import sqlalchemy as sa

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Times are UTC, by the database's clock, in seconds since the epoch: every
# database compares and adds them alike.
Time = sa.Double

# SQLite counts rows by itself in columns of this very type only.
Count = sa.BigInteger().with_variant(sa.Integer, "sqlite")

BUILDERS = sa.Table(
    "builders",
    METADATA,
    sa.Column("uuid", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("secret_hash", sa.String(255), nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False, default=True),
    sa.Column("session", sa.String(36)),
    sa.Column("architectures", sa.JSON, nullable=False, default=list),
    sa.Column("slots", sa.Integer, nullable=False, default=0),
    sa.Column("version", sa.String(64)),
    sa.Column("enrolled_at", Time, nullable=False),
    sa.Column("seen_at", Time),
)

ELEMENTS = sa.Table(
    "elements",
    METADATA,
    sa.Column("name", sa.String(128), primary_key=True),
    # Of the tree: two elements that hold the same files share it.
    sa.Column("digest", sa.String(64), primary_key=True),
    # engine.catalogue.Element.to_dict()
    sa.Column("description", sa.JSON, nullable=False),
    sa.Column("registered_at", Time, nullable=False),
)

BUILDER_ELEMENTS = sa.Table(
    "builder_elements",
    METADATA,
    sa.Column(
        "builder_uuid",
        sa.ForeignKey("builders.uuid", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
)

BUILDS = sa.Table(
    "builds",
    METADATA,
    # The order of arrival; the uuid is the client's to choose.
    sa.Column("id", Count, primary_key=True, autoincrement=True),
    sa.Column("uuid", sa.String(36), nullable=False, unique=True),
    sa.Column("project_id", sa.String(255), nullable=False, index=True),
    sa.Column("user_id", sa.String(255), nullable=False),
    sa.Column("request_id", sa.String(64)),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    # objects.build.Wanted: what was asked for, checked.
    sa.Column("wanted", sa.JSON, nullable=False),
    # {element name: digest}, pinned when the build was asked for.
    sa.Column("elements", sa.JSON, nullable=False),
    sa.Column("architecture", sa.String(16), nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    sa.Column("ended_at", Time),
    # The fault of a failed build, as engine.errors gives it.
    sa.Column("fault", sa.JSON),
    # Attempts that count: one without a first report does not.
    sa.Column("attempts_counted", sa.Integer, nullable=False, default=0),
    sa.Column("not_before", Time, nullable=False, default=0.0),
    sa.Column("cancel_requested", sa.Boolean, nullable=False, default=False),
    sa.Column("release_decided", sa.Boolean, nullable=False, default=False),
    # Bytes of the log between its head and its tail.
    sa.Column("log_dropped", sa.BigInteger, nullable=False, default=0),
    # The lease: who holds the build, until when, and how that is proven. It
    # is live while lease_expires_at is set; the rest tells of the last one.
    sa.Column("epoch", sa.Integer, nullable=False, default=0),
    sa.Column("builder_uuid", sa.String(36)),
    sa.Column("session", sa.String(36)),
    sa.Column("claim_id", sa.String(36), unique=True),
    sa.Column("lease_expires_at", Time),
    sa.Column("lease_nonce", sa.String(64)),
    sa.Column("lease_secret_hash", sa.String(64)),
    sa.Index("ix_builds_queue", "state", "id"),
    # A number is never given twice: it is the marker of a page.
    sqlite_autoincrement=True,
)

# The same as builds.elements, for SQL to match with builder_elements.
BUILD_ELEMENTS = sa.Table(
    "build_elements",
    METADATA,
    sa.Column("build_uuid", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
)

ATTEMPTS = sa.Table(
    "attempts",
    METADATA,
    sa.Column("build_uuid", sa.String(36), primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("builder_uuid", sa.String(36), nullable=False),
    sa.Column("builder_name", sa.String(255), nullable=False),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("first_report_at", Time),
    sa.Column("ended_at", Time),
    # complete, failed, cancelled, lost
    sa.Column("outcome", sa.String(16)),
    sa.Column("reason", sa.JSON),
)

ARTEFACTS = sa.Table(
    "artefacts",
    METADATA,
    sa.Column("build_uuid", sa.String(36), primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    # image, kernel, ramdisk
    sa.Column("role", sa.String(16), primary_key=True),
    sa.Column("format", sa.String(16), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("virtual_size", sa.BigInteger, nullable=False),
    sa.Column("sha512", sa.String(128), nullable=False),
)

PUBLICATIONS = sa.Table(
    "publications",
    METADATA,
    sa.Column("image_id", sa.String(36), primary_key=True),
    sa.Column("build_uuid", sa.String(36), nullable=False, index=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("format", sa.String(16), nullable=False),
    sa.Column("target", sa.String(64), nullable=False),
    # Counts the image ids of one upload: an id cannot be used twice, so
    # when the target has lost an image, the next try needs another one.
    sa.Column("number", sa.Integer, nullable=False, default=1),
    # staged (granted, bytes may be there), uploaded, releasing (decided),
    # published, failed, lost (another number has its place), deleted
    sa.Column("state", sa.String(16), nullable=False),
    # Why it failed, as builds.fault.
    sa.Column("fault", sa.JSON),
    # Where it can be had, in a target that is no Glance.
    sa.Column("location", sa.Text),
    # Times in a row that the target did not let the conductor publish.
    sa.Column("failures", sa.Integer, nullable=False, default=0),
    # When a conductor may look at it next, and when all give up.
    sa.Column("not_before", Time, nullable=False, default=0.0),
    sa.Column("give_up_at", Time),
    # Nothing of it is left in staging.
    sa.Column("swept", sa.Boolean, nullable=False, default=False),
    sa.Column("updated_at", Time, nullable=False),
    sa.UniqueConstraint(
        *("build_uuid", "epoch", "target", "role", "format", "number"),
        name="uq_publications_place",
    ),
    sa.Index("ix_publications_due", "state", "not_before"),
)

EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("id", Count, primary_key=True, autoincrement=True),
    sa.Column("build_uuid", sa.String(36), nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    # The builder's own count: a report sent twice is stored once.
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("time", Time, nullable=False),
    sa.UniqueConstraint("build_uuid", "epoch", "sequence"),
    sqlite_autoincrement=True,
)

LOG_CHUNKS = sa.Table(
    "log_chunks",
    METADATA,
    sa.Column("build_uuid", sa.String(36), primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True),
    # Bytes of the build's log before this chunk, over all attempts; none
    # while it is in the tail of a log that is too long.
    sa.Column("start", sa.BigInteger),
    sa.Column("length", sa.Integer, nullable=False),
    # zlib
    sa.Column("data", sa.LargeBinary(16 * 1024 * 1024), nullable=False),
    sa.Column("received_at", Time, nullable=False),
    sa.Index("ix_log_chunks_start", "build_uuid", "start"),
)
