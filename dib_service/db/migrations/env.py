"""What alembic runs: the migrations, on the connection that it is given."""

from alembic import context

from dib_service.db import models

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=models.METADATA,
    # SQLite cannot alter a table: alembic copies it.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
