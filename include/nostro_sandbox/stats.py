"""What a bank has been asked, counted."""

COUNTERS = (
    "token_requests",
    "refreshes",
    "refresh_reuse",  # refresh tokens shown once more after they were used up
    "refused_logins",  # wrong credentials of any sort, and good ones of a locked user; no refresh token is one
    "calls",
    "unauthorized",
    "throttled",
    "one_time_passwords",  # codes on their way, to the person or back: those sent and those given for validation
    "validations",  # of these, the ones given for validation
    "refused_codes",  # of these, the wrong, used, replaced and expired ones
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
