"""The two tracks as a fixture."""

import pytest
from train_helpers import TRACKS, Track


@pytest.fixture(params=TRACKS)
def track(request: pytest.FixtureRequest) -> Track:
    return TRACKS[request.param]
