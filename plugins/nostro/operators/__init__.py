"""Operators that the DAGs need beside Airflow's own."""
