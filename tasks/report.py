"""Stage `report`: the HTML page of the run.

    python -m tasks.report

Reads the files of all earlier stages (finer1/report/inputs.py); writes paths.report.
"""

from finer1.files import write_atomic
from finer1.report.inputs import read_inputs
from finer1.report.page import render_page
from tasks.stage import Context, main


def report(context: Context) -> dict[str, float]:
    """Write the page; the metrics give its size."""
    page = render_page(read_inputs(context.params)).encode()
    write_atomic(context.params.paths.report, page)
    context.log_file(context.params.paths.report)
    return {"report/bytes": len(page)}


if __name__ == "__main__":
    main("report", report)
