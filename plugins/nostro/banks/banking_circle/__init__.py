"""Banking Circle Connect (docs.bankingcircleconnect.com).

A machine user, Basic over mutual TLS on the authorization host, tokens of 300 seconds whose `expires_in` is text; the
same certificate on every data call. Pages carry no end mark. Sandbox and production have hosts and credentials of their
own.
"""
