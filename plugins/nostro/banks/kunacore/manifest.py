from nostro.manifest import Field, Manifest

MANIFEST = Manifest(
    conn_type="kunacore",
    title="Kuna Core",
    hook_class="nostro.banks.kunacore.hook.KunaCoreHook",
    relabeling={"login": "E-mail", "password": "Password"},
    placeholders={"host": "https://the-address-you-were-given.example"},
    fields={
        "auth_mode": Field(
            "Authentication",
            "jwt logs in with e-mail, password and merchant id; api_key sends a persistent key.",
            choices=("jwt", "api_key"),
            default="jwt",
        ),
        "merchant_id": Field("Merchant ID", "Only for Authentication = jwt."),
        "api_key": Field("API key", "Only for Authentication = api_key.", secret=True),
    },
)
