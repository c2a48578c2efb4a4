"""The replicator, against pipes of curl and the `openstack` client."""
