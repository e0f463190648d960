"""Who may see the builder hosts."""

from oslo_policy import policy

from dib_service.policies import base

LIST = "builder:list"
GET = "builder:get"

_RULES = [
    policy.DocumentedRuleDefault(
        LIST,
        base.ADMIN,
        "List the builders.",
        [{"method": "GET", "path": "/v1/builders"}],
        scope_types=base.SCOPE,
    ),
    policy.DocumentedRuleDefault(
        GET,
        base.ADMIN,
        "See a builder, also by name in the attempts of a build.",
        [
            {"method": "GET", "path": "/v1/builders/{builder_id}"},
            {"method": "GET", "path": "/v1/builds/{build_id}"},
        ],
        scope_types=base.SCOPE,
    ),
]


def rules() -> list[policy.RuleDefault]:
    """The rules of this noun."""
    return list(_RULES)
