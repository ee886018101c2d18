"""Five banks on loopback, as strict as the real ones: ``python -m nostro_sandbox``."""
