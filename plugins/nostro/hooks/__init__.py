"""Airflow's face of the banks."""
