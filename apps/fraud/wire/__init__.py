"""What sources send and are told: its shape, its signature, where answers go."""
