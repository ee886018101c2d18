"""The Toy Bank's contract test: its case; it has no ways of its own."""

CASE = {
    "read": ("GET", "/accounts", None),
    "write": ("POST", "/payments", {}),
    "required": ("host", "login", "password"),
}
