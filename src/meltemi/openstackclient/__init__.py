"""`openstack image replica …`: replicas, for people who never leave the OpenStack client."""
