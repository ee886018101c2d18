"""Airflow hooks for five banks: each logs in once, for every task, try and process."""

__version__ = "0.1.0"
