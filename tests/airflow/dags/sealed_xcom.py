"""One task gets a token and hands it on sealed; mapped tasks open it."""

from airflow.sdk import BaseHook, Connection, dag, get_current_context, task


@dag(schedule=None, params={"conn_id": ""})
def sealed_xcom() -> None:
    @task
    def mint() -> str:
        return BaseHook.get_hook(get_current_context()["params"]["conn_id"]).get_sealed_token()

    @task
    def use(number: int, sealed: str) -> int:
        conn_id = get_current_context()["params"]["conn_id"]
        hook = Connection.get(conn_id).get_hook(hook_params={"sealed_token": sealed})
        return number + len(hook.accounts())

    use.partial(sealed=mint()).expand(number=[1000, 2000, 3000])


sealed_xcom()
