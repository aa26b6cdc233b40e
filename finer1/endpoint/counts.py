"""What /metrics tells, in Prometheus' text format."""

from collections import Counter
from collections.abc import Callable

BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper bounds of the histogram of seconds."""


class Counts:
    """Requests by route and status, how long they took, and what is under way."""

    def __init__(self, under_way: Callable[[], int]) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: Counter[tuple[str, float]] = Counter()
        self._sums: Counter[str] = Counter()
        self._under_way = under_way

    def note(self, route: str, status: int, seconds: float) -> None:
        """A request has been answered."""
        self._requests[route, status] += 1
        for bound in (bound for bound in BOUNDS if seconds <= bound):
            self._seconds[route, bound] += 1
        self._sums[route] += seconds  # type: ignore[assignment]

    def text(self) -> str:
        """The page."""
        lines = ["# TYPE finer1_requests_total counter"]
        for (route, status), count in sorted(self._requests.items()):
            lines.append(f'finer1_requests_total{{route="{route}",status="{status}"}} {count}')
        lines.append("# TYPE finer1_request_seconds histogram")
        for route in sorted(self._sums):
            total = sum(count for (name, _), count in self._requests.items() if name == route)
            for bound in BOUNDS:
                count = self._seconds[route, bound]
                lines.append(
                    f'finer1_request_seconds_bucket{{route="{route}",le="{bound:g}"}} {count}'
                )
            lines.append(f'finer1_request_seconds_bucket{{route="{route}",le="+Inf"}} {total}')
            lines.append(f'finer1_request_seconds_sum{{route="{route}"}} {self._sums[route]:.6f}')
            lines.append(f'finer1_request_seconds_count{{route="{route}"}} {total}')
        lines.append("# TYPE finer1_requests_under_way gauge")
        lines.append(f"finer1_requests_under_way {self._under_way()}")
        return "\n".join(lines) + "\n"
