"""Kuna Core (docs.kunacore.io), banking for crypto assets.

`expiresIn` is an instant, not a duration; the e-mail goes into a field named `token`; searches are POSTs. A wallet may
hold several assets. A bare date is midnight UTC.
"""
