"""What the chart promises, whatever the values are."""

import functools
import hashlib
import http.server
import ipaddress
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

import yaml
from render import CHART, CI_VALUES, PRESETS, helm, kinds, pods, refusal, render, server


def annotations(objects):
    return server(objects)["spec"]["template"]["metadata"]["annotations"]


def changed_annotations(before, after):
    one, other = annotations(render(before)), annotations(render(after))
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def restricted_faults(spec):
    """What the Pod Security Standard `restricted` objects to."""
    context = spec.get("securityContext", {})
    for container in spec.get("initContainers", []) + spec["containers"]:
        own = container.get("securityContext", {})
        wanted = {
            "privilege escalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": "ALL" in own.get("capabilities", {}).get("drop", []),
            "root": (own.get("runAsNonRoot") or context.get("runAsNonRoot")) is True,
            "seccomp": (own.get("seccompProfile") or context.get("seccompProfile") or {}).get("type")
            == "RuntimeDefault",
            "writable root": own.get("readOnlyRootFilesystem") is True,
        }
        yield from (f"{container['name']}: {what}" for what, good in wanted.items() if not good)
    for volume in spec.get("volumes", []):
        if "hostPath" in volume:
            yield f"hostPath {volume['name']}"


class EveryRendering(unittest.TestCase):
    def each(self):
        for file in [CHART / "values.yaml", *PRESETS, *CI_VALUES]:
            with self.subTest(file=file.name):
                yield render(None, file, arguments=("--api-versions", "monitoring.coreos.com/v1"))

    def test_passes_the_restricted_standard_without_a_token(self):
        for objects in self.each():
            for name, spec in pods(objects):
                self.assertEqual([], list(restricted_faults(spec)), name)
                self.assertIs(spec["automountServiceAccountToken"], False, name)

    def test_every_container_has_requests_and_limits(self):
        for objects in self.each():
            for name, spec in pods(objects):
                for container in spec.get("initContainers", []) + spec["containers"]:
                    for part in ("requests", "limits"):
                        self.assertLessEqual({"cpu", "memory"}, container["resources"][part].keys(), name)

    def test_selectors_meet_exactly_the_servers_pods(self):
        for objects in self.each():
            deployments = kinds(objects, "Deployment")
            servers = [d for d in deployments if d["metadata"]["labels"]["app.kubernetes.io/component"] == "server"]
            others = [d for d in deployments if d not in servers] + [{"spec": {"template": p}} for p in kinds(objects, "Pod")]
            for service in kinds(objects, "Service"):
                selector = service["spec"].get("selector")
                if not selector or selector["app.kubernetes.io/component"] != "server":
                    continue
                met = [[d for d in some if selector.items() <= d["spec"]["template"]["metadata"]["labels"].items()]
                       for some in (servers, others)]  # fmt: skip
                self.assertEqual([1, 0], [len(some) for some in met], service["metadata"]["name"])

    def test_ends_in_time(self):
        for objects in self.each():
            spec = server(objects)["spec"]["template"]["spec"]
            config = next(
                (c for (k, n), c in objects.items() if k == "ConfigMap" and n.endswith("-config")), None
            )
            drain = 25
            if config:
                settings = yaml.safe_load(config["data"]["podsense.yaml"])
                drain = int(settings.get("shutdown", {}).get("drain_timeout", "25s").rstrip("s"))
            self.assertGreater(spec["terminationGracePeriodSeconds"], drain)

    def test_stays_ready_while_it_ends_unless_told_otherwise(self):
        flag = "--ready-while-draining"
        args = lambda values: server(render(values))["spec"]["template"]["spec"]["containers"][0]["args"]
        self.assertIn(flag, args({}))
        for values in ({"config": {"shutdown": {"ready_while_draining": False}}},
                       {"configEnv": {"PODSENSE_READY_WHILE_DRAINING": "false"}},
                       {"extraArgs": ["--no-ready-while-draining"]}):
            self.assertNotIn(flag, args(values), values)


class Replicas(unittest.TestCase):
    def test_are_the_autoscalers_where_there_is_one(self):
        self.assertNotIn("replicas", server(render())["spec"])
        keda = {"autoscaling": {"enabled": False}, "keda": {"enabled": True}}
        objects = render(keda)
        self.assertNotIn("replicas", server(objects)["spec"])
        self.assertEqual([], kinds(objects, "HorizontalPodAutoscaler"))
        self.assertEqual(1, len(kinds(objects, "ScaledObject")))
        fixed = {"autoscaling": {"enabled": False}, "replicaCount": 3}
        self.assertEqual(3, server(render(fixed))["spec"]["replicas"])

    def test_one_pod_has_no_disruption_budget(self):
        one = {"autoscaling": {"enabled": False}, "replicaCount": 1}
        self.assertEqual([], kinds(render(one), "PodDisruptionBudget"))
        self.assertEqual(1, len(kinds(render(), "PodDisruptionBudget")))

    def test_pods_metrics_reach_the_hpa(self):
        hpa = render({"autoscaling": {"targetSaturation": 0.7}})["HorizontalPodAutoscaler", "podsense"]
        names = [m["pods"]["metric"]["name"] for m in hpa["spec"]["metrics"] if m["type"] == "Pods"]
        self.assertEqual(["podsense_saturation"], names)


class Configuration(unittest.TestCase):
    def test_a_change_rolls_the_pods_and_nothing_else_does(self):
        self.assertEqual(
            {"checksum/config"},
            changed_annotations({"config": {"logging": {"level": "info"}}}, {"config": {"logging": {"level": "debug"}}}),
        )
        self.assertEqual(
            {"checksum/env"}, changed_annotations({"configEnv": {"LOG_LEVEL": "a"}}, {"configEnv": {"LOG_LEVEL": "b"}})
        )
        secret = {"create": True, "data": {"key": "a"}}
        self.assertEqual(
            {"checksum/secret"},
            changed_annotations({"secret": secret}, {"secret": {**secret, "data": {"key": "b"}}}),
        )
        self.assertEqual(set(), changed_annotations({}, {"autoscaling": {"maxReplicas": 12}}))

    def test_the_file_reaches_the_server(self):
        objects = render({"config": {"logging": {"level": "debug"}}})
        container = server(objects)["spec"]["template"]["spec"]["containers"][0]
        self.assertIn("--config=/etc/podsense/podsense.yaml", container["args"])
        mounts = {m["mountPath"] for m in container["volumeMounts"]}
        self.assertIn("/etc/podsense/podsense.yaml", mounts)
        written = yaml.safe_load(objects["ConfigMap", "podsense-config"]["data"]["podsense.yaml"])
        self.assertEqual({"logging": {"level": "debug"}}, written)

    def test_a_secret_is_mounted_or_offered_as_environment(self):
        objects = render({"secret": {"existingSecret": "keys", "asEnv": True}})
        spec = server(objects)["spec"]["template"]["spec"]
        self.assertEqual([], kinds(objects, "Secret"))
        self.assertIn({"secretRef": {"name": "keys"}}, spec["containers"][0]["envFrom"])
        self.assertEqual(["keys"], [v["secret"]["secretName"] for v in spec["volumes"] if "secret" in v])


class Refusals(unittest.TestCase):
    def test_unknown_and_wrong_values_are_named(self):
        for values, words in [
            ({"replicas": 3}, ["replicas", "not allowed"]),
            ({"service": {"prot": 80}}, ["/service", "prot"]),
            ({"service": {"port": 70000}}, ["/service/port"]),
            ({"service": {"type": "Nodeport"}}, ["/service/type", "NodePort"]),
            ({"image": {"digest": "abc"}}, ["/image/digest"]),
            ({"models": {"source": "ftp"}}, ["/models/source", "download"]),
            ({"models": {"download": {"files": [{"url": "https://a/b", "path": "x"}]}}}, ["sha256"]),
            (
                {"models": {"download": {"files": [{"url": "https://a/'b", "path": "x", "sha256": "0" * 64}]}}},
                ["/models/download/files/0/url"],
            ),
            (
                {"models": {"download": {"files": [{"url": "https://a/b", "path": "../x", "sha256": "0" * 64}]}}},
                ["/models/download/files/0/path"],
            ),
            ({"configEnv": {"not-a-name": "1"}}, ['configEnv: "not-a-name"', "letters, digits and _"]),
            ({"models": {"manifests": {".x": {}}}}, ['models.manifests: ".x"']),
            ({"resources": {"limits": {"cpu": "lots"}}}, ["/resources/limits/cpu"]),
            ({"resources": {"limits": {"mem": "1Gi"}}}, ['resources.limits: no resource is called "mem"', "memory"]),
            ({"ports": {"http": 8000}}, ["ports.http and ports.admin are both 8000"]),
            ({"service": {"port": 9000}}, ["service.port and service.grpcPort are both 9000"]),
            (
                {"ports": {"http": 8081}, "envoy": {"enabled": True, "mode": "sidecar"}},
                ["ports.http and envoy.port are both 8081"],
            ),
            ({"service": {"nodePort": 30001}}, ["service.type is ClusterIP", "NodePort or LoadBalancer"]),
            ({"autoscaling": {"minReplicas": 0}}, ["keeps 1 or more", "keda.minReplicas"]),
            ({"terminationGracePeriodSeconds": 25}, ["drain_timeout (25s)", "terminationGracePeriodSeconds (25)"]),
            ({"config": {"shutdown": {"drain_timeout": "1m500ms"}}}, ["drain_timeout (1m500ms)"]),
            ({"keda": {"enabled": True}}, ["autoscaling.enabled and keda.enabled"]),
            ({"autoscaling": {"minReplicas": 11}}, ["minReplicas", "maxReplicas"]),
            ({"secret": {"asEnv": True}}, ["secret.existingSecret"]),
            ({"models": {"source": "download"}}, ["models.download.files is empty"]),
            ({"models": {"source": "oci"}}, ["models.oci.reference is empty"]),
            ({"config": {"listen": {"http_port": 1}}}, ["ports.http"]),
            ({"config": {"models": {"dir": "/x"}}}, ["models.path"]),
            ({"config": {"shutdown": {"drain_timeout": "40s"}}}, ["terminationGracePeriodSeconds"]),
            ({"podDisruptionBudget": {"minAvailable": 1}}, ["minAvailable or maxUnavailable"]),
            (
                {"verticalPodAutoscaler": {"enabled": True, "updateMode": "Recreate"}},
                ["the HPA scales on the same resource"],
            ),
        ]:
            with self.subTest(values=values):
                said = refusal(values)
                for word in words:
                    self.assertIn(word, said)

    def test_a_wrong_value_takes_one_line(self):
        for values in [
            {"service": {"nodePort": 80}},
            {"autoscaling": {"targetCPUUtilizationPercentage": "70%"}},
            {"podDisruptionBudget": {"minAvailable": "all", "maxUnavailable": None}},
            {"keda": {"fallback": {"replicas": -1}}},
        ]:
            with self.subTest(values=values):
                self.assertEqual(1, refusal(values).count("at '/"))

    def test_what_only_looks_wrong_is_taken(self):
        render({"resources": {"limits": {"nvidia.com/gpu": 1, "hugepages-2Mi": "64Mi"}}})
        render({"terminationGracePeriodSeconds": 61, "config": {"shutdown": {"drain_timeout": "1m"}}})
        render({"service": {"grpcPort": None, "metricsPort": None}})
        service = render({"service": {"type": "LoadBalancer", "nodePort": 30001}})["Service", "podsense"]
        self.assertEqual(30001, service["spec"]["ports"][0]["nodePort"])

    def test_recreate_leaves_out_what_only_rolling_updates_take(self):
        self.assertEqual({"type": "Recreate"}, server(render({"strategy": {"type": "Recreate"}}))["spec"]["strategy"])


class Network(unittest.TestCase):
    @functools.cached_property
    def public(self):
        policy = render()["NetworkPolicy", "podsense"]["spec"]
        self.assertEqual(["Ingress", "Egress"], policy["policyTypes"])
        return [to["ipBlock"] for rule in policy["egress"] for to in rule["to"] if "ipBlock" in to]

    def allowed(self, address):
        address = ipaddress.ip_address(address)
        return any(
            address in ipaddress.ip_network(block["cidr"])
            and not any(address in ipaddress.ip_network(e) for e in block.get("except", []))
            for block in self.public
        )

    def test_public_addresses_can_be_fetched_from(self):
        for address in ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"):
            self.assertTrue(self.allowed(address), address)

    def test_metadata_and_private_networks_cannot(self):
        for address in (
            "169.254.169.254", "169.254.170.2", "fd00:ec2::254", "10.0.0.1", "172.20.0.10", "192.168.1.1",
            "127.0.0.1", "100.100.100.200", "::1", "fe80::1", "64:ff9b::a9fe:a9fe",
        ):  # fmt: skip
            self.assertFalse(self.allowed(address), address)

    def test_the_admin_port_is_never_behind_an_ingress_or_a_load_balancer(self):
        objects = render({"loadBalancer": {"enabled": True}, "ingress": {"enabled": True}})
        ports = objects["Service", "podsense-lb"]["spec"]["ports"]
        self.assertEqual(["http"], [p["name"] for p in ports])
        admin = objects["NetworkPolicy", "podsense"]["spec"]["ingress"][1]
        self.assertEqual("admin", admin["ports"][0]["port"])
        self.assertTrue(admin["from"])


class Models(unittest.TestCase):
    def downloader(self, files):
        spec = server(render({"models": {"source": "download", "download": {"files": files}}}))
        container = spec["spec"]["template"]["spec"]["initContainers"][0]
        return container["command"]

    def run_downloader(self, folder, sha256):
        """The rendered script itself, against a server on loopback."""
        served = pathlib.Path(folder, "served")
        served.mkdir(exist_ok=True)
        (served / "model.onnx").write_bytes(b"a model")
        handler = functools.partial(Quiet, directory=served)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as host:
            threading.Thread(target=host.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{host.server_port}/model.onnx"
            shell, flags, script = self.downloader([{"url": url, "path": "m/1/model.onnx", "sha256": sha256}])
            script = script.replace("/mnt/models", f"{folder}/models")
            result = subprocess.run([shell, flags, script], capture_output=True, text=True, env=no_proxy())
            host.shutdown()
        return result, pathlib.Path(folder, "models/m/1/model.onnx")

    def test_a_download_with_the_right_sum_is_kept_and_not_repeated(self):
        good = hashlib.sha256(b"a model").hexdigest()
        with tempfile.TemporaryDirectory() as folder:
            result, file = self.run_downloader(folder, good)
            self.assertEqual((0, b"a model"), (result.returncode, file.read_bytes()), result.stderr)
            again, _ = self.run_downloader(folder, good)
            self.assertIn("is there", again.stdout)

    def test_a_download_with_another_sum_is_refused_and_removed(self):
        with tempfile.TemporaryDirectory() as folder:
            result, file = self.run_downloader(folder, "0" * 64)
            self.assertNotEqual(0, result.returncode)
            self.assertIn("expected 0000", result.stderr)
            self.assertEqual([], [p for p in file.parent.rglob("*") if p.is_file()])

    def test_the_recipe_gets_its_numbers(self):
        values = {"models": {"source": "recipe", "recipe": {"randomState": 7, "nEstimators": 50}}}
        container = server(render(values))["spec"]["template"]["spec"]["initContainers"][0]
        env = {e["name"]: e["value"] for e in container["env"]}
        self.assertEqual(("7", "50"), (env["RANDOM_STATE"], env["N_ESTIMATORS"]))

    def test_each_source_is_where_the_server_looks(self):
        for source, extra in [
            ("recipe", {}),
            ("pvc", {}),
            ("oci", {"oci": {"reference": "registry/models:1"}}),
        ]:
            with self.subTest(source=source):
                objects = render({"models": {"source": source, **extra}})
                spec = server(objects)["spec"]["template"]["spec"]
                self.assertIn("--models=/mnt/models", spec["containers"][0]["args"])
                mounts = {m["name"]: m["mountPath"] for m in spec["containers"][0]["volumeMounts"]}
                self.assertEqual("/mnt/models", mounts["models"])
                self.assertIn("models", {v["name"] for v in spec["volumes"]})


class Envoy(unittest.TestCase):
    def config(self, **values):
        objects = render({"envoy": {"enabled": True, **values}, "ports": {"grpc": 9009, "http": 8088}})
        return yaml.safe_load(objects["ConfigMap", "podsense-envoy"]["data"]["envoy.yaml"])

    def addresses(self, config):
        for cluster in config["static_resources"]["clusters"]:
            for group in cluster["load_assignment"]["endpoints"]:
                for endpoint in group["lb_endpoints"]:
                    address = endpoint["endpoint"]["address"]["socket_address"]
                    yield cluster["name"], address["address"], address["port_value"]

    def test_pods_of_its_own_reach_each_server_a_sidecar_its_own(self):
        for mode, upstream in [("deployment", "podsense-headless"), ("sidecar", "127.0.0.1")]:
            with self.subTest(mode=mode):
                self.assertEqual(
                    {("grpc", upstream, 9009), ("http", upstream, 8088), ("admin", "127.0.0.1", 9901)},
                    set(self.addresses(self.config(mode=mode))),
                )

    def test_its_admin_port_stays_inside_and_three_paths_come_out(self):
        config = self.config()
        self.assertEqual("127.0.0.1", config["admin"]["address"]["socket_address"]["address"])
        stats = next(x for x in config["static_resources"]["listeners"] if x["name"] == "stats")
        manager = stats["filter_chains"][0]["filters"][0]["typed_config"]
        routes = manager["route_config"]["virtual_hosts"][0]["routes"]
        self.assertEqual({"/live", "/ready", "/stats/prometheus"}, {r["match"].get("path") for r in routes})

    def test_before_it_ends_it_is_asked_to_drain_and_only_the_node_can_ask(self):
        for mode, name in [("deployment", "podsense-envoy"), ("sidecar", "podsense")]:
            with self.subTest(mode=mode):
                objects = render({"envoy": {"enabled": True, "mode": mode, "drainPort": 9907, "drainSeconds": 7},
                                  "networkPolicy": {"enabled": True}})
                pod = objects["Deployment", name]["spec"]["template"]["spec"]
                envoy = next(c for c in pod["containers"] + pod.get("initContainers", []) if c["name"] == "envoy")
                hook = {"deployment": "/drain", "sidecar": "/leave"}[mode]
                self.assertEqual({"path": hook, "port": 9907}, envoy["lifecycle"]["preStop"]["httpGet"])
                if mode == "sidecar":
                    waits = pod["containers"][0]["lifecycle"]["preStop"]["httpGet"]
                    self.assertEqual({"path": "/drain", "port": 9907}, waits)
                    self.assertEqual(40 + 7, pod["terminationGracePeriodSeconds"])
                self.assertNotIn(9907, [port["containerPort"] for port in envoy["ports"]])
                rules = objects["NetworkPolicy", name]["spec"]["ingress"]
                self.assertNotIn(9907, [port["port"] for rule in rules for port in rule["ports"]])
                self.assertGreater(pod["terminationGracePeriodSeconds"], 7)
                config = yaml.safe_load(objects["ConfigMap", "podsense-envoy"]["data"]["envoy.yaml"])
                drain = next(x for x in config["static_resources"]["listeners"] if x["name"] == "drain")
                self.assertEqual(9907, drain["address"]["socket_address"]["port_value"])
                self.assertIn("'fixed_delay': '7s'", str(drain))

    def test_listens_on_ipv6_when_asked(self):
        """On IPv6-only and dual-stack clusters; the server does so by itself, since nothing names its addresses."""
        for address, expected in (("::", {"address": "::", "ipv4_compat": True}), ("fd00::1", {"address": "fd00::1"}),
                                  ("0.0.0.0", {"address": "0.0.0.0"})):
            sockets = [listener["address"]["socket_address"]
                       for listener in self.config(address=address)["static_resources"]["listeners"]]
            self.assertEqual(3, len(sockets))
            for socket in sockets:
                self.assertEqual(expected, {key: value for key, value in socket.items() if key != "port_value"})
        args = server(render({"service": {"ipFamilyPolicy": "RequireDualStack"}}))["spec"]["template"]["spec"]["containers"][0]["args"]
        self.assertEqual([], [one for one in args if "host" in one])

    def test_a_configuration_of_ones_own_needs_no_listener_to_drain(self):
        objects = render({"envoy": {"enabled": True, "config": "admin: {}", "drainSeconds": 7}})
        envoy = objects["Deployment", "podsense-envoy"]["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual({"sleep": {"seconds": 7}}, envoy["lifecycle"]["preStop"])

    def test_values_reach_its_configuration(self):
        text = str(self.config(port=8443, descriptor="/d.pb", timeout="7s", maxRequests=11, maxBodyBytes=1234))
        for word in ("8443", "/d.pb", "'7s'", "'max_requests': 11", "'max_request_body_size': 1234"):
            self.assertIn(word, text)


class Helpful(unittest.TestCase):
    def test_there_is_one_test_pod_for_each_promise(self):
        objects = render({"config": {"logging": {"level": "info"}}, "tests": {"path": "/infer?cpu_ms=1"}})
        names = {p["metadata"]["name"].removeprefix("podsense-test-") for p in kinds(objects, "Pod")}
        self.assertEqual({"ready", "health", "metrics", "answer", "models", "config"}, names)

    def notes(self, *files):
        """Helm prints NOTES.txt only when it installs: here it is a template like others."""
        with tempfile.TemporaryDirectory() as folder:
            chart = pathlib.Path(folder, "podsense")
            shutil.copytree(CHART, chart)
            (chart / "templates/NOTES.txt").rename(chart / "NOTES.txt")
            wrapper = '{{ toYaml (dict "notes" (tpl (.Files.Get "NOTES.txt") .)) }}'
            (chart / "templates/notes.yaml").write_text(wrapper, encoding="utf-8")
            command = [helm(), "template", "podsense", str(chart), "--kube-version", "1.34.0"]
            command += ["--namespace", "podsense", "--show-only", "templates/notes.yaml"]
            for file in files:
                command += ["-f", str(CHART / file)]
            done = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(0, done.returncode, done.stderr)
            return yaml.safe_load(done.stdout)["notes"]

    def test_notes_give_the_next_command_for_the_way_in(self):
        for files, words in [
            ([], ["-n podsense port-forward service/podsense 8080:80", "helm -n podsense test podsense"]),
            (["values-nodeport.yaml"], ["PORT=30001"]),
            (["values-ml-inference.yaml"], ["get service ml-inference-lb", "ml-inference/ml-inference-api"]),
            (["values-ingress.yaml"], ["get ingress podsense -o", "http://$HOST/health", "service/podsense 8080:80", "March 2026"]),
            (["values-platform.yaml"], ["get ingress envoy -o", "service/envoy 8080:80"]),
            (["values-model-api.yaml"], ["-n ml-serving get ingress model-api-ingress -o"]),
            (["values-simulator.yaml"], ["service/inference-sim 8080:80"]),
            (["ci/everything-values.yaml"], ["https://api.example.com/health", "secret.existingSecret"]),
        ]:
            with self.subTest(files=files):
                notes = self.notes(*files)
                for word in words:
                    self.assertIn(word, notes)

    def test_every_value_is_described(self):
        readme = (CHART / "README.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| ([\w.]+) \| \S+ \|.*\| (.*) \|$", readme, re.MULTILINE)
        self.assertGreater(len(rows), 150)
        self.assertEqual([], [name for name, text in rows if not text.strip()])

    def test_fixed_buckets_are_kept_beside_native_ones_where_that_is_asked_for(self):
        for value, kind in (("serviceMonitor", "ServiceMonitor"), ("podMonitor", "PodMonitor")):
            for wanted in (True, False):
                with self.subTest(kind=kind, wanted=wanted):
                    own = {"enabled": True, "scrapeClassicHistograms": wanted}
                    (monitor,) = kinds(render({"metrics": {value: own}}), kind)
                    self.assertEqual(monitor["spec"].get("scrapeClassicHistograms", False), wanted)
            wrong = {value: {"enabled": True, "scrapeClassicHistograms": "yes"}}
            self.assertIn("scrapeClassicHistograms", refusal({"metrics": wrong}))

    def test_alerts_link_the_pages_where_a_team_reads_them(self):
        def links(base):
            own = {"enabled": True, "runbookUrl": base}
            (rule,) = kinds(render({"metrics": {"prometheusRule": own}}), "PrometheusRule")
            return [one["annotations"]["runbook_url"] for group in rule["spec"]["groups"]
                    for one in group["rules"] if "alert" in one]

        plain = links("")
        self.assertGreater(len(plain), 15)
        self.assertEqual([link.replace("docs/runbooks", "https://wiki/run-books") for link in plain], links("https://wiki/run-books/"))
        self.assertIn("runbookUrl", refusal({"metrics": {"prometheusRule": {"runbookUrl": "wiki"}}}))

    def test_rules_and_dashboards_are_those_of_monitoring(self):
        objects = render(
            {"metrics": {"prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}}}
        )
        rules = sorted((CHART / "files/rules").glob("*.yaml"))
        wanted = {g["name"] for f in rules for g in yaml.safe_load(f.read_text(encoding="utf-8"))["groups"]}
        got = {g["name"] for g in kinds(objects, "PrometheusRule")[0]["spec"]["groups"]}
        self.assertTrue(wanted)
        self.assertEqual(wanted, got)
        boards = {f.name for f in (CHART / "files/dashboards").glob("*.json")}
        maps = [o["data"] for (k, n), o in objects.items() if k == "ConfigMap" and "-dashboard-" in n]
        self.assertEqual(boards, {name for data in maps for name in data})


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def no_proxy():
    return {**os.environ, "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}


class Tls(unittest.TestCase):
    VALUES = {"tls": {"secretName": "web-tls", "clientCaSecretName": "clients"}}

    def test_both_ports_get_the_certificate_and_probes_stay_on_the_admin_port(self):
        objects = render({"tls": {"secretName": "web-tls"}})
        spec = server(objects)["spec"]["template"]["spec"]
        container = spec["containers"][0]
        self.assertIn("--tls-cert=/etc/podsense/tls/tls.crt", container["args"])
        self.assertIn("--tls-key=/etc/podsense/tls/tls.key", container["args"])
        self.assertFalse([a for a in container["args"] if "client-ca" in a])
        mount = next(m for m in container["volumeMounts"] if m["name"] == "tls")
        # A subPath would never see a rotation.
        self.assertEqual(mount, {"name": "tls", "mountPath": "/etc/podsense/tls", "readOnly": True})
        volume = next(v for v in spec["volumes"] if v["name"] == "tls")
        self.assertEqual(volume["secret"]["secretName"], "web-tls")
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            self.assertEqual(container[name]["httpGet"]["port"], "admin")
            self.assertNotIn("scheme", container[name]["httpGet"])
        ports = objects["Service", "podsense"]["spec"]["ports"]
        self.assertEqual({p["name"]: p["appProtocol"] for p in ports},
                         {p["name"]: "http" if p["name"] == "metrics" else "https" for p in ports})
        asked = [a for p in kinds(objects, "Pod") for a in p["spec"]["containers"][0]["args"]]
        self.assertIn("https://podsense:80/readyz", asked)

    def test_probes_of_the_http_port_speak_tls(self):
        values = {"tls": {"secretName": "web-tls"}, "probes": {"port": "http"}}
        container = server(render(values))["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(container["readinessProbe"]["httpGet"]["scheme"], "HTTPS")
        values["probes"]["type"] = "exec"
        container = server(render(values))["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(container["readinessProbe"]["exec"]["command"][2:],
                         ["--insecure", "https://127.0.0.1:8080/readyz"])

    def test_clients_can_be_asked_for_certificates(self):
        objects = render(self.VALUES)
        spec = server(objects)["spec"]["template"]["spec"]
        self.assertIn("--tls-client-ca=/etc/podsense/tls-client-ca/ca.crt", spec["containers"][0]["args"])
        volume = next(v for v in spec["volumes"] if v["name"] == "tls-client-ca")
        self.assertEqual(volume["secret"]["secretName"], "clients")

    def test_what_cannot_work_is_refused(self):
        for more, message in (
            ({"tls": {"secretName": ""}}, "tls.clientCaSecretName needs tls.secretName"),
            ({"probes": {"type": "grpc"}}, "the kubelet's gRPC probes speak no TLS"),
            ({"probes": {"port": "http"}}, "probes show no certificate; use probes.port admin"),
            ({"envoy": {"enabled": True}}, "Envoy reaches the servers in plain"),
            ({"config": {"tls": {"key": "x"}}}, "set it by the values tls.secretName"),
        ):
            with self.subTest(more):
                values = self.VALUES | more
                if "tls" in more:
                    values["tls"] = self.VALUES["tls"] | more["tls"]
                self.assertIn(message, refusal(values))


if __name__ == "__main__":
    unittest.main()
