"""A cloud on one machine: the steps that quickstart and the tests share."""
