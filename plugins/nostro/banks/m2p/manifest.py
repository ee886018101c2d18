from nostro.manifest import Field, Manifest

MANIFEST = Manifest(
    conn_type="m2p",
    title="M2P",
    hook_class="nostro.banks.m2p.hook.M2pHook",
    relabeling={"login": "Client ID", "password": "Client secret"},
    placeholders={"host": "https://sandbox-api.m2pprepaid.com"},
    fields={
        "tenant_id": Field("Tenant", "The tenant's identifier, sent as X-TENANT-ID.", required=True),
        "entity_ids": Field("Entities", "The entities whose accounts are worked on, one per line.", type="array"),
    },
)
