"""What every element of ours keeps to, as rules: one function for each.

    for rule in lint.RULES:
        for complaint in rule(Shelf(path)):

A rule says what is wrong and where, and nothing about an element that keeps
it. tests/unit/elements/test_lint.py holds the shipped elements to all of them,
and each of them to an element that does not keep it.
"""

from collections.abc import Callable, Iterator

from tests.lint import data, readme, scripts, sources
from tests.lint.shelf import Shelf as Shelf

Rule = Callable[[Shelf], Iterator[str]]

RULES: tuple[Rule, ...] = (
    readme.is_titled,
    readme.has_an_example,
    readme.names_every_knob,
    scripts.stop_at_the_first_mistake,
    scripts.are_bash_or_python,
    scripts.have_a_shebang_or_no_executable_bit,
    scripts.would_be_run,
    scripts.have_a_name_of_their_own,
    scripts.pass_shellcheck,
    scripts.pass_ruff,
    scripts.run_on_an_older_python,
    scripts.only_source_the_environment,
    data.is_tidy,
    data.can_be_read,
    data.is_sorted,
    data.names_elements_that_exist,
    sources.downloads_are_proven,
    sources.proofs_are_asked_for,
    sources.exceptions_are_needed,
    sources.no_registry_is_named,
    sources.no_machine_is_named,
)
