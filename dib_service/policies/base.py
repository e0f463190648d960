"""The roles that the rules are made of: Keystone's default ones.

An admin may do all of it, in every project. The other roles count in the
project that they were given in: whoever may manage may also write, whoever
may write may also read (Keystone implies it). The service role is for other
services, and by itself reads the catalogue of elements only.
"""

from oslo_policy import policy

SCOPE = ["project"]

ADMIN = "rule:admin"
MANAGER = "rule:project_manager or rule:admin"
MEMBER = "rule:project_member or rule:admin"
READER = "rule:project_reader or rule:admin"
READER_OR_SERVICE = "rule:project_reader or rule:service or rule:admin"

_RULES = [
    policy.RuleDefault("admin", "role:admin", "May do everything."),
    policy.RuleDefault(
        "project_manager",
        "role:manager and project_id:%(project_id)s",
        "May decide for the project.",
    ),
    policy.RuleDefault(
        "project_member",
        "role:member and project_id:%(project_id)s",
        "May change what the project has.",
    ),
    policy.RuleDefault(
        "project_reader",
        "role:reader and project_id:%(project_id)s",
        "May see what the project has.",
    ),
    policy.RuleDefault("service", "role:service", "Is another service."),
]


def rules() -> list[policy.RuleDefault]:
    """The rules that the others name."""
    return list(_RULES)
