"""Who may see which elements there are."""

from oslo_policy import policy

from dib_service.policies import base

LIST = "element:list"
GET = "element:get"

_RULES = [
    policy.DocumentedRuleDefault(
        LIST,
        base.READER_OR_SERVICE,
        "List the elements that the builders have.",
        [{"method": "GET", "path": "/v1/elements"}],
        scope_types=base.SCOPE,
    ),
    policy.DocumentedRuleDefault(
        GET,
        base.READER_OR_SERVICE,
        "See an element.",
        [{"method": "GET", "path": "/v1/elements/{name}"}],
        scope_types=base.SCOPE,
    ),
]


def rules() -> list[policy.RuleDefault]:
    """The rules of this noun."""
    return list(_RULES)
