from nostro.manifest import Field, Manifest

MANIFEST = Manifest(
    conn_type="banking_circle",
    title="Banking Circle",
    hook_class="nostro.banks.banking_circle.hook.BankingCircleHook",
    relabeling={"login": "Username", "password": "Password"},
    placeholders={"host": "https://sandbox.bankingcircleconnect.com"},
    fields={
        "authorization_url": Field(
            "Authorization address", "Such as https://authorizationsandbox.bankingcircleconnect.com.", required=True
        ),
        "private_key_p12": Field(
            "Certificate and key (P12)", "The P12 or PFX file in base64; or use the two PEM fields.", secret=True
        ),
        "private_key_passphrase": Field("Passphrase", "Of the P12 file or the PEM key, if it has one.", secret=True),
        "client_certificate_pem": Field("Certificate (PEM)", "With its chain, if there is one.", multiline=True),
        "private_key_pem": Field("Private key (PEM)", "Line breaks may get lost; that does no harm.", secret=True),
        "ca_certificates_pem": Field("Private authorities (PEM)", "Only for a private authority.", multiline=True),
    },
)
