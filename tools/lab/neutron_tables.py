"""Make the tables of Neutron: neutron_tables.py DATABASE_URL.

Neutron's own migrations are written for MySQL alone; this makes what they end
in, as Neutron's tests do. Runs in the services' venv and so imports nothing
of ours.
"""

import importlib
import sys

import sqlalchemy


def main() -> None:
    """Make those that are missing."""
    models = importlib.import_module("neutron.db.migration.models.head")
    engine = sqlalchemy.create_engine(sys.argv[1])
    models.get_metadata().create_all(engine)


if __name__ == "__main__":
    main()
