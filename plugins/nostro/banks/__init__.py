"""One folder a bank, each with the same four rooms: manifest, auth, api, hook."""
