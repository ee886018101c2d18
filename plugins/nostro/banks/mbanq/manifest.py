from nostro.manifest import Field, Manifest

MANIFEST = Manifest(
    conn_type="mbanq",
    title="Mbanq",
    hook_class="nostro.banks.mbanq.hook.MbanqHook",
    relabeling={"login": "Username", "password": "Password"},
    placeholders={"host": "https://api.cloud.mbanq.com"},
    fields={
        "auth_mode": Field(
            "Authentication",
            "password logs a user in; signed_jwt signs each call with a shared secret.",
            choices=("password", "signed_jwt"),
            default="password",
        ),
        "tenant_id": Field("Tenant", "The tenant's identifier, sent as tenantId.", required=True),
        "client_id": Field("Client ID", "Only for Authentication = password."),
        "client_secret": Field("Client secret", "Only for Authentication = password.", secret=True),
        "totp_secret": Field("TOTP secret", "In base32, if the user has a second factor by TOTP.", secret=True),
        "otp_delivery_method": Field(
            "Code delivery",
            "How the bank sends codes to a person, without a TOTP secret; EMAIL if empty.",
            choices=("EMAIL", "SMS"),
        ),
        "jwt_secret": Field("JWT secret", "Only for Authentication = signed_jwt.", secret=True),
        "signee": Field("Signee", "Only for Authentication = signed_jwt."),
    },
)
