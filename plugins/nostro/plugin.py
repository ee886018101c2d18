"""Airflow's entry point for plugins."""

from airflow.plugins_manager import AirflowPlugin

from nostro import listener


class NostroPlugin(AirflowPlugin):
    name = "nostro"
    listeners = [listener]  # noqa: RUF012 (Airflow's own shape)
