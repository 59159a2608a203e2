"""What the server answers beside the interfaces: health, readiness, metrics, the landing page, logs."""
