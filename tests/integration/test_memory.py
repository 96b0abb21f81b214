"""Recording takes little memory, however much is recorded."""

from __future__ import annotations

import json

from tests.integration.site import Site

MB = 1_000_000


def test_many_requests_at_the_caps_take_ten_megabytes_and_stay_there(site: Site) -> None:
    done = site.run("-m", "tests.integration.recording", timeout_s=300, measured=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["series"]["requests.route"] == 301  # the cap, and <other>
    assert said["series"]["queries.fingerprint"] == 501
    assert said["at_caps"] <= 10 * MB
    assert said["full"] - said["half"] < MB
