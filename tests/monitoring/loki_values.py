"""Loki's configuration with the limits and the schema of monitoring/values-loki.yaml, as one process keeps it."""

import panels
import yaml

VALUES = yaml.safe_load((panels.ROOT / "monitoring/values-loki.yaml").read_text())


def configuration(folder, address, port, grpc_port, gossip_port):
    """Everything below `folder`; listens on the address's ports."""
    given = VALUES["loki"]
    own = {"instance_addr": "127.0.0.1", "kvstore": {"store": "inmemory"}}
    return {
        "auth_enabled": given["auth_enabled"],
        "server": {"http_listen_address": address, "http_listen_port": port, "grpc_listen_address": "127.0.0.1",
                   "grpc_listen_port": grpc_port, "log_level": "warn"},
        "common": {"path_prefix": str(folder), "instance_addr": "127.0.0.1", "ring": own,
                   "storage": {"filesystem": {"chunks_directory": f"{folder}/chunks",
                                              "rules_directory": f"{folder}/rules"}},
                   **given["commonConfig"]},
        "memberlist": {"bind_addr": ["127.0.0.1"], "bind_port": gossip_port, "advertise_addr": "127.0.0.1"},
        "schema_config": given["schemaConfig"],
        "limits_config": given["limits_config"],
        "compactor": given["compactor"],
        "ingester": {"wal": {"enabled": False}},
        "analytics": {"reporting_enabled": False},
    }  # fmt: skip
