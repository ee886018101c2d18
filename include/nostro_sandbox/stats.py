"""What a bank has been asked, counted."""

COUNTERS = (
    "token_requests",
    "refreshes",
    "refresh_reuse",
    "refused_logins",
    "calls",
    "unauthorized",
    "throttled",
    "one_time_passwords",
    "payouts",
    "protocol_errors",
)


class Stats:
    def __init__(self) -> None:
        self._counts = dict.fromkeys(COUNTERS, 0)

    def count(self, *names: str) -> None:
        for name in names:
            self._counts[name] += 1

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def snapshot(self) -> dict[str, int]:
        return dict(self._counts)

    def clear(self) -> None:
        self._counts = dict.fromkeys(COUNTERS, 0)
