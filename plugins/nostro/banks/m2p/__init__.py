"""M2P Prepaid Platform (dev.m2p.app).

camelCase asked, snake_case answered. No call lists the accounts: the connection names the entities. Amounts come as
signed text, unsigned text or numbers, by endpoint. 409 means a duplicate, but also not found.
"""
