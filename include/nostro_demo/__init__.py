"""A real Airflow beside the sandbox banks: the library behind `make demo`, `make up` and the end-to-end tests."""
