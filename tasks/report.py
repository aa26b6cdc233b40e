"""Stage `report`: the HTML page of the run, and the figures of its tables.

    python -m tasks.report

Reads the files of all earlier stages (finer1/report/inputs.py); writes paths.report,
paths.results, and Figure 5 as concept_pairs.png in paths.logs.
"""

from collections import defaultdict

from finer1.files import write_atomic
from finer1.report.analysis_rows import analysis_rows
from finer1.report.concept_pairs import pairs_picture
from finer1.report.inputs import read_inputs
from finer1.report.page import render_page
from finer1.report.results_file import Row, result_rows, rows_as_csv
from tasks.stage import Context, main


def report(context: Context) -> dict[str, float]:
    """Write the page and the figures; the metrics give their sizes."""
    paths = context.params.paths
    inputs = read_inputs(context.params)
    page = render_page(inputs).encode()
    write_atomic(paths.report, page)
    write_atomic(paths.logs / "concept_pairs.png", pairs_picture(inputs))
    rows = [*result_rows(inputs), *analysis_rows(inputs)]
    write_atomic(paths.results, rows_as_csv(rows).encode())
    tables: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        tables[f"table_{row['table']}"].append(row)
    for name, found in tables.items():
        context.log_table(name, found)
    context.log_file(paths.report)
    context.log_file(paths.results)
    context.log_file(paths.logs / "concept_pairs.png")
    return {"report/bytes": len(page), "report/figures": len(rows)}


if __name__ == "__main__":
    main("report", report)
