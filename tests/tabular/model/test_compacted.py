from thinnet.tabular import CompactedTable


def test_what_was_done_prints() -> None:
    members = (((9, 8, 2), (5, 6, 2)),) * 3 + (((9, 8, 2), (9, 8, 2)),)
    report = CompactedTable(members, (1000, 500), (4000, 2000), {1: (0.002, 0.001), 1000: (0.2, 0.1)}, 1e-7)
    assert report.nodes == (32, 26)
    assert str(report).splitlines() == [
        "networks  nodes of every layer, inputs and outputs included",
        "       3  9-8-2 to 5-6-2",
        "       1  9-8-2, as before",
        "",
        "                            before           now   ratio",
        "hidden nodes                    32            26    0.81",
        "parameters                   1,000           500    0.50",
        "bytes of weights             4,000         2,000    0.50",
        "ms for 1 row                   2.0           1.0    0.50",
        "ms for 1,000 rows            200.0         100.0    0.50",
        "",
        "Equal: predictions for made-up rows differ by 1.0e-07 of the largest.",
    ]


def test_a_long_report_is_cut() -> None:
    members = tuple(((9, 8, 2), (5, k, 2)) for k in range(1, 21))
    lines = str(CompactedTable(members, (2, 1), (8, 4), {}, 0.0)).splitlines()
    assert lines[13] == "       8  of 8 more kinds"
