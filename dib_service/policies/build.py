"""Who may ask for builds, see them and end them."""

from oslo_policy import policy

from dib_service.policies import base

LIST = "build:list"
LIST_ALL_PROJECTS = "build:list:all_projects"
CREATE = "build:create"
CREATE_COMMUNITY = "build:create:community"
CREATE_PUBLIC = "build:create:public"
CREATE_UNTESTED = "build:create:untested"
CREATE_TARGET = "build:create:target"
GET = "build:get"
GET_LOG = "build:get_log"
LIST_EVENTS = "build:list_events"
CANCEL = "build:cancel"
DELETE = "build:delete"

_RULES = [
    policy.DocumentedRuleDefault(
        LIST,
        base.READER,
        "List the builds of one's own project.",
        [{"method": "GET", "path": "/v1/builds"}],
        scope_types=base.SCOPE,
    ),
    policy.DocumentedRuleDefault(
        LIST_ALL_PROJECTS,
        base.ADMIN,
        "List the builds of all projects.",
        [{"method": "GET", "path": "/v1/builds?all_projects=true"}],
        scope_types=base.SCOPE,
    ),
    policy.DocumentedRuleDefault(
        CREATE,
        base.MEMBER,
        "Ask for a build, or for the plan of one.",
        [{"method": "POST", "path": "/v1/builds"}],
        scope_types=base.SCOPE,
    ),
    # The conductor publishes with a right of its own, so what Glance would
    # have refused to the asker has to be refused here.
    policy.DocumentedRuleDefault(
        CREATE_COMMUNITY,
        base.MANAGER,
        "Ask for an image of visibility community.",
        [{"method": "POST", "path": "/v1/builds"}],
        scope_types=base.SCOPE,
    ),
    policy.DocumentedRuleDefault(
        CREATE_PUBLIC,
        base.ADMIN,
        "Ask for an image of visibility public.",
        [{"method": "POST", "path": "/v1/builds"}],
        scope_types=base.SCOPE,
    ),
    policy.DocumentedRuleDefault(
        CREATE_TARGET,
        base.MANAGER,
        "Ask for an image in another target than the first of [publish] "
        "targets. There it belongs to whom the operator has configured.",
        [{"method": "POST", "path": "/v1/builds"}],
        scope_types=base.SCOPE,
    ),
    policy.DocumentedRuleDefault(
        CREATE_UNTESTED,
        base.MANAGER,
        "Ask for an image that is published without having been started "
        "(boot_test false).",
        [{"method": "POST", "path": "/v1/builds"}],
        scope_types=base.SCOPE,
    ),
    policy.DocumentedRuleDefault(
        GET,
        base.READER,
        "See a build. Whoever may not gets 404 for every route of it, "
        "unless it is of the asker's own project.",
        [{"method": "GET", "path": "/v1/builds/{build_id}"}],
        scope_types=base.SCOPE,
    ),
    policy.DocumentedRuleDefault(
        GET_LOG,
        base.READER,
        "Read the log of a build.",
        [{"method": "GET", "path": "/v1/builds/{build_id}/log"}],
        scope_types=base.SCOPE,
    ),
    policy.DocumentedRuleDefault(
        LIST_EVENTS,
        base.READER,
        "List the events of a build.",
        [{"method": "GET", "path": "/v1/builds/{build_id}/events"}],
        scope_types=base.SCOPE,
    ),
    policy.DocumentedRuleDefault(
        CANCEL,
        base.MEMBER,
        "Cancel a build.",
        [{"method": "POST", "path": "/v1/builds/{build_id}/cancel"}],
        scope_types=base.SCOPE,
    ),
    policy.DocumentedRuleDefault(
        DELETE,
        base.MEMBER,
        "Forget a build that has ended.",
        [{"method": "DELETE", "path": "/v1/builds/{build_id}"}],
        scope_types=base.SCOPE,
    ),
]


def rules() -> list[policy.RuleDefault]:
    """The rules of this noun."""
    return list(_RULES)
