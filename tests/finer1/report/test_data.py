from finer1.report.data import collect_data


def _finding(kind, level, where):
    return {"level": level, "kind": kind, "where": where, "what": "odd", "remedy": "look"}


def test_findings_are_counted_by_kind_with_the_first_in_words():
    found = [_finding("odd image", "warning", f"{number}.png") for number in range(6)]
    audit = {
        "moths": {
            "images": 9,
            "classes": 2,
            "sides": {"train": 6, "test": 3},
            "unreadable": 1,
            "notes": ["a part"],
            "findings": [_finding("duplicate", "error", "7.png"), *found],
        }
    }
    (row,) = collect_data(audit)
    assert row.sides == (("train", 6), ("test", 3))
    assert row.findings == (
        ("duplicate (error)", 1, ("7.png: odd",)),
        ("odd image (warning)", 6, ("0.png: odd", "1.png: odd", "2.png: odd", "3.png: odd")),
    )
