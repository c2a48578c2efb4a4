"""Continuous replication: keeps every route of meltemi.yaml true."""
