"""What all tests have in common."""

from hypothesis import settings

# The same examples in every run, so that a red test is red for what was changed; to look for
# new ones: pytest --hypothesis-profile=default
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
