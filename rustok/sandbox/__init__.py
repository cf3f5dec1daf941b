"""The cage: tenants' own code. It imports nothing of the platform."""
