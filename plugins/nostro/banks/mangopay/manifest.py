from nostro.manifest import Field, Manifest

MANIFEST = Manifest(
    conn_type="mangopay",
    title="MANGOPAY",
    hook_class="nostro.banks.mangopay.hook.MangopayHook",
    relabeling={"login": "Client ID", "password": "API key"},
    placeholders={"host": "https://api.sandbox.mangopay.com"},
    fields={
        "auth_mode": Field(
            "Authentication",
            "oauth2 sends the API key only to get a token; basic sends it with every call.",
            choices=("oauth2", "basic"),
            default="oauth2",
        ),
    },
)
