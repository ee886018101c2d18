from nostro.manifest import Manifest

MANIFEST = Manifest(
    conn_type="toy",
    title="Toy Bank",
    hook_class="nostro.banks.toy.hook.ToyHook",
    relabeling={"login": "Client ID", "password": "Client secret"},
    placeholders={"host": "https://api.toy.example"},
)
