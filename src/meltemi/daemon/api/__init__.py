"""What a daemon shows and lets be done over HTTP; docs/daemon-openapi.yaml describes it."""
