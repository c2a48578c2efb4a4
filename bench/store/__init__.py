"""The chunk store, against borg, casync and restic."""
