"""Tokens: minted once, sealed at rest, shared by all workers, put on each request. Imports no Airflow."""
