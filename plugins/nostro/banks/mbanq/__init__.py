"""Mbanq (apidocs.cloud.mbanq.com), banking on the lines of Apache Fineract.

Dates come in three shapes, amounts as decimal numbers. `RESTRICTED` means that the second factor's verification has
ended: verify again, the access token is still good. Self-service users are bank customers, not the back office.
"""
