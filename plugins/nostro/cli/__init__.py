"""`airflow nostro ...`: what people do to a connection."""
