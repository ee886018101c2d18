"""Airflow's entry point for plugins."""

from airflow.plugins_manager import AirflowPlugin


class NostroPlugin(AirflowPlugin):
    name = "nostro"
