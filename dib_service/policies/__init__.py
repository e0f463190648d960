"""Who may do what: one file of rules for each noun, one question to ask."""

from collections.abc import Mapping
import itertools
import threading

from oslo_policy import opts, policy

from dib_service import conf, exception
from dib_service import context as context_lib
from dib_service.policies import base, build, builder, element

_lock = threading.Lock()
_enforcer: policy.Enforcer | None = None


def authorize(
    context: context_lib.RequestContext,
    rule: str,
    target: Mapping[str, str | None] | None = None,
) -> None:
    """Let the request go on if ``rule`` allows it on ``target``.

    Without a target the asker's own project is meant.

    :raises Forbidden: naming the rule.
    """
    if not allowed(context, rule, target):
        raise exception.Forbidden(
            f"policy does not allow {rule} to you in this project; ask for "
            "a role that does",
            rule=rule,
        )


def allowed(
    context: context_lib.RequestContext,
    rule: str,
    target: Mapping[str, str | None] | None = None,
) -> bool:
    """Whether ``rule`` allows ``target`` to whoever asks."""
    if not context.project_id:
        # A token for the system, a domain or nothing: its roles count
        # elsewhere, and oslo.policy would find one missing project to be
        # the same as another.
        return False
    about = target or {
        "project_id": context.project_id,
        "user_id": context.user_id,
    }
    return bool(_get().authorize(rule, dict(about), context))


def list_rules() -> list[policy.RuleDefault]:
    """Every rule, for the enforcer and for oslopolicy-sample-generator."""
    return list(
        itertools.chain(
            base.rules(), build.rules(), builder.rules(), element.rules()
        )
    )


def get_enforcer() -> policy.Enforcer:
    """The enforcer, for oslo.policy's own programs."""
    # Their arguments are not ours, and they have read them by now.
    conf.read()
    return _get()


def reset() -> None:
    """Forget the enforcer; the next question reads the files anew."""
    global _enforcer
    with _lock:
        _enforcer = None


def _get() -> policy.Enforcer:
    global _enforcer
    with _lock:
        if _enforcer is None:
            opts.set_defaults(
                conf.CONF, enforce_scope=True, enforce_new_defaults=True
            )
            enforcer = policy.Enforcer(conf.CONF)
            enforcer.register_defaults(list_rules())
            enforcer.load_rules()
            _enforcer = enforcer
        return _enforcer
