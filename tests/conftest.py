"""What all tests share: how Hypothesis looks for examples."""

import os

from hypothesis import settings

# A busy machine makes an example slow without making it wrong. Where a result decides about a
# change, equal code must give an equal result; elsewhere every run looks for new examples.
settings.register_profile("project", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("project")
