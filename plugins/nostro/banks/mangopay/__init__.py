"""MANGOPAY (docs.mangopay.com), API v2.01.

Amounts are integer minor units, times unix seconds. Wallets are the accounts. A 401 without body and with
`WWW-Authenticate: PendingUserAction` asks the wallet's owner to confirm, and says nothing of the token. A replayed
Idempotency-Key gives 409 whatever became of the first call; the first answer is kept under `responses/{key}` for a day.
"""
