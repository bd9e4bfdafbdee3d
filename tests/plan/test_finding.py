from dataclasses import FrozenInstanceError

import pytest

import thinnet as tn


def test_a_finding_is_a_value_that_prints_as_a_sentence() -> None:
    finding = tn.Finding("frozen", "0.weight", "is frozen.", "Leave it out.")
    assert str(finding) == "0.weight: is frozen. Leave it out."
    assert finding == tn.Finding("frozen", "0.weight", "is frozen.", "Leave it out.")
    assert len({finding, tn.Finding("frozen", "1.weight", "is frozen.", "Leave it out.")}) == 2
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'code'"):
        finding.code = "no-match"
