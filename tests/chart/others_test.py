"""The chart with what other people's clusters and values bring."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml
from render import CHART, helm, kinds, preset, refusal, render, server


def pod(objects):
    return server(objects)["spec"]["template"]["spec"]


def rendered_by(chart, *arguments):
    command = [helm(), "template", "podsense", str(chart), "--kube-version", "1.34.0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def every_text(objects):
    """All places of which Kubernetes takes texts only."""
    for o in objects.values():
        for metadata in (o["metadata"], o.get("spec", {}).get("template", {}).get("metadata", {})):
            for part in ("labels", "annotations"):
                yield from metadata.get(part, {}).items()
        if o["kind"] == "ConfigMap":
            yield from o["data"].items()


class Values(unittest.TestCase):
    def test_large_numbers_stay_what_they_are(self):
        objects = render({
            "configEnv": {"MAX_FILE_SIZE": 10485760, "RATIO": 0.01, "BIG": 1e6, "ON": True, "LONG": 12345678901},
            "config": {"limits": {"max_body_bytes": 10485760}},
            "env": [{"name": "N", "value": 2000000}, {"name": "P", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "podSecurityContext": {"runAsUser": 1000680000},
            "models": {"source": "recipe", "recipe": {"randomState": 20240101}},
            "autoscaling": {"targetQueueDepth": 1000000},
            "ingress": {"enabled": True, "nginx": {"rateLimit": 1000000}},
            "podAnnotations": {"example.com/size": 10485760},
            "secret": {"create": True, "data": {"PIN": 12345678}},
            "envoy": {"enabled": True, "maxBodyBytes": 104857600},
        })  # fmt: skip
        data = objects["ConfigMap", "podsense"]["data"]
        self.assertEqual(
            {"MAX_FILE_SIZE": "10485760", "RATIO": "0.01", "BIG": "1000000", "ON": "true", "LONG": "12345678901"}, data
        )
        self.assertIn("max_body_bytes: 10485760\n", objects["ConfigMap", "podsense-config"]["data"]["podsense.yaml"])
        spec = pod(objects)
        self.assertEqual("2000000", spec["containers"][0]["env"][0]["value"])
        self.assertEqual(1000680000, spec["securityContext"]["runAsUser"])
        recipe = {e["name"]: e["value"] for e in spec["initContainers"][0]["env"]}
        self.assertEqual("20240101", recipe["RANDOM_STATE"])
        self.assertEqual("12345678", objects["Secret", "podsense"]["stringData"]["PIN"])
        self.assertNotIn("e+", json.dumps([list(every_text(objects)), list(objects.values())]).replace("one+", ""))

    def test_whatever_kubernetes_wants_as_text_is_text(self):
        objects = render({
            "commonLabels": {"cost-centre": 42}, "commonAnnotations": {"reviewed": True},
            "podAnnotations": {"prometheus.io/port": 8000}, "nodeSelector": {"gpu": True},
            "service": {"annotations": {"a": 1}, "labels": {"b": 2}}, "ingress": {"enabled": True, "annotations": {"c": 3}},
        })  # fmt: skip
        for key, value in every_text(objects):
            self.assertIsInstance(value, str, key)
        self.assertEqual({"gpu": "true"}, pod(objects)["nodeSelector"])

    def test_labels_given_twice_are_there_once_and_never_break_the_selector(self):
        mine = {"app.kubernetes.io/name": "mine", "app.kubernetes.io/part-of": "shop", "team": "a"}
        values = {"commonLabels": mine, "podLabels": {**mine, "team": "b"}, "commonAnnotations": {"x": "1"},
                  "podAnnotations": {"x": "2", "kubectl.kubernetes.io/default-container": "other"},
                  "metrics": {"serviceMonitor": {"enabled": True, "labels": {"team": "c"}}}}  # fmt: skip

        class Strict(yaml.SafeLoader):
            def construct_mapping(self, node, deep=False):
                keys = [key.value for key, _ in node.value]
                assert len(keys) == len(set(keys)), keys
                return super().construct_mapping(node, deep)

        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(json.dumps(values))
            file.flush()
            command = [helm(), "template", "podsense", str(CHART), "--kube-version", "1.34.0", "-f", file.name]
            text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        list(yaml.load_all(text, Strict))
        objects = render(values)
        template = server(objects)["spec"]["template"]["metadata"]
        self.assertLessEqual(server(objects)["spec"]["selector"]["matchLabels"].items(), template["labels"].items())
        self.assertEqual(("b", "shop"), (template["labels"]["team"], template["labels"]["app.kubernetes.io/part-of"]))
        self.assertEqual("2", template["annotations"]["x"])
        self.assertEqual("c", objects["ServiceMonitor", "podsense"]["metadata"]["labels"]["team"])

    def test_names_that_cannot_name_a_service_are_refused(self):
        for values, word in [
            ({"fullnameOverride": "my.app"}, "fullnameOverride"),
            ({"fullnameOverride": "1app"}, "fullnameOverride"),
            ({"service": {"name": "2nd"}}, "service.name"),
            ({"loadBalancer": {"enabled": True, "name": "a.b"}}, "loadBalancer.name"),
            ({"envoy": {"enabled": True, "name": "3"}}, "envoy.name"),
        ]:
            with self.subTest(values):
                self.assertIn(f"{word}: ", refusal(values))
        done = subprocess.run([helm(), "template", "1st", str(CHART), "--kube-version", "1.34.0"], capture_output=True, text=True)
        self.assertIn("set fullnameOverride", done.stderr)

    def test_an_hpa_without_any_target_is_refused(self):
        self.assertIn("every target is null", refusal({"autoscaling": {"targetCPUUtilizationPercentage": None}}))
        targets = {"targetCPUUtilizationPercentage": None, "targetSaturation": 0.7}
        metrics = render({"autoscaling": targets})["HorizontalPodAutoscaler", "podsense"]["spec"]["metrics"]
        self.assertEqual(["Pods"], [m["type"] for m in metrics])


class Packaged(unittest.TestCase):
    def chart(self, folder, name="podsense", **changes):
        to = pathlib.Path(folder, name)
        shutil.copytree(CHART, to)
        about = yaml.safe_load((to / "Chart.yaml").read_text(encoding="utf-8"))
        (to / "Chart.yaml").write_text(yaml.dump({**about, **changes}), encoding="utf-8")
        return to

    def test_versions_with_a_plus_or_long_ones_make_valid_labels_and_tags(self):
        version = "1.2.3-rc.1+build." + "5" * 70
        with tempfile.TemporaryDirectory() as folder:
            for o in rendered_by(self.chart(folder, version=version, appVersion=version)):
                for value in o["metadata"]["labels"].values():
                    self.assertRegex(value, r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")
                if o["kind"] == "Deployment":
                    image = o["spec"]["template"]["spec"]["containers"][0]["image"]
                    self.assertNotIn("+", image)

    def test_it_works_as_a_part_of_another_chart_twice_under_names_of_their_own(self):
        with tempfile.TemporaryDirectory() as folder:
            parent = pathlib.Path(folder, "shop")
            self.chart(parent / "charts")
            parts = [{"name": "podsense", "version": "0.1.0", "alias": alias, "condition": f"{alias}.enabled"}
                     for alias in ("vision", "tabular", "off")]  # fmt: skip
            about = {"apiVersion": "v2", "name": "shop", "version": "1.0.0", "dependencies": parts}
            (parent / "Chart.yaml").write_text(yaml.dump(about), encoding="utf-8")
            values = {
                "global": {"imageRegistry": "registry.example.com/", "imagePullSecrets": ["one", {"name": "two"}]},
                "vision": {"enabled": True, "imagePullSecrets": [{"name": "two"}, {"name": "three"}]},
                "tabular": {"enabled": True, "envoy": {"enabled": True}},
                "off": {"enabled": False},
            }
            (parent / "values.yaml").write_text(yaml.dump(values), encoding="utf-8")
            objects = rendered_by(parent)
        names = {o["metadata"]["name"] for o in objects if o["kind"] == "Deployment"}
        self.assertEqual({"podsense-vision", "podsense-tabular", "podsense-tabular-envoy"}, names)
        places = [(o["kind"], o["metadata"]["name"]) for o in objects]
        self.assertEqual(len(places), len(set(places)))
        for o in objects:
            spec = o["spec"]["template"]["spec"] if o["kind"] == "Deployment" else o["spec"] if o["kind"] == "Pod" else None
            if spec:
                for container in spec["containers"]:
                    self.assertTrue(container["image"].startswith("registry.example.com/podsense"), container["image"])
                secrets = [s["name"] for s in spec["imagePullSecrets"]]
                self.assertEqual(["one", "two", "three"][: 3 if "vision" in o["metadata"]["name"] else 2], secrets)


class Exposure(unittest.TestCase):
    def ports(self, objects):
        for service in kinds(objects, "Service"):
            for port in service["spec"]["ports"]:
                yield service["spec"].get("type", "ClusterIP"), port.get("targetPort"), service["metadata"]

    def test_the_admin_port_and_envoys_statistics_never_leave_the_cluster(self):
        for kind in ("NodePort", "LoadBalancer"):
            objects = render({
                "service": {"type": kind}, "loadBalancer": {"enabled": True},
                "envoy": {"enabled": True, "serviceType": kind}, "metrics": {"serviceMonitor": {"enabled": True}},
            })  # fmt: skip
            found = {(t, p) for t, p, _ in self.ports(objects) if p in ("admin", "stats")}
            self.assertEqual({("ClusterIP", "admin"), ("ClusterIP", "stats")}, found)
            self.scraped_once(objects)
        self.scraped_once(render({"envoy": {"enabled": True}, "metrics": {"serviceMonitor": {"enabled": True}}}))

    def scraped_once(self, objects):
        for monitor in kinds(objects, "ServiceMonitor"):
            wanted, port = monitor["spec"]["selector"]["matchLabels"], monitor["spec"]["endpoints"][0]["port"]
            met = [s["metadata"]["name"] for s in kinds(objects, "Service")
                   if wanted.items() <= s["metadata"]["labels"].items() and port in [p["name"] for p in s["spec"]["ports"]]]  # fmt: skip
            self.assertEqual(1, len(met), monitor["metadata"]["name"])

    def test_the_job_is_the_services_name_however_it_is_scraped(self):
        for values in ({"service": {"type": "NodePort"}}, {}):
            on = {**values, "metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}}
            objects = render(on)
            for kind, part in (("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")):
                monitor = objects[kind, "podsense"]["spec"]
                rules = monitor[part][0].get("relabelings", [])
                if kind == "ServiceMonitor" and not values:
                    self.assertEqual([], rules)  # the operator takes the Service's name by itself
                else:
                    self.assertEqual([{"targetLabel": "job", "replacement": "podsense"}], rules)


class Settings(unittest.TestCase):
    def test_pods_take_what_pods_of_other_charts_take(self):
        objects = render({
            "dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.0.0.10"]}, "schedulerName": "bin-packer",
            "runtimeClassName": "gvisor", "hostUsers": False, "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
            "extraPorts": [{"name": "debug", "containerPort": 6060}],
            "deploymentAnnotations": {"reloader.stakater.com/auto": True}, "deploymentLabels": {"wave": 2},
        })  # fmt: skip
        spec = pod(objects)
        for key, value in [("dnsPolicy", "None"), ("schedulerName", "bin-packer"), ("runtimeClassName", "gvisor"), ("hostUsers", False)]:
            self.assertEqual(value, spec[key])
        self.assertEqual(["10.0.0.10"], spec["dnsConfig"]["nameservers"])
        self.assertEqual({"sleep": {"seconds": 5}}, spec["containers"][0]["lifecycle"]["preStop"])
        self.assertIn({"name": "debug", "containerPort": 6060}, spec["containers"][0]["ports"])
        metadata = server(objects)["metadata"]
        self.assertEqual(("true", "2"), (metadata["annotations"]["reloader.stakater.com/auto"], metadata["labels"]["wave"]))
        self.assertNotIn("hostUsers", pod(render()))

    def test_whole_spread_constraints_get_these_pods_as_selector(self):
        mine = [{"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["pod-template-hash"]}]
        objects = render({"topologySpreadConstraints": mine})
        (constraint,) = pod(objects)["topologySpreadConstraints"]
        self.assertEqual(server(objects)["spec"]["selector"]["matchLabels"], constraint["labelSelector"]["matchLabels"])
        self.assertEqual(["pod-template-hash"], constraint["matchLabelKeys"])

    def test_services_take_what_services_of_other_charts_take(self):
        service = render({"service": {
            "labels": {"monitored": True}, "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
            "internalTrafficPolicy": "Local", "trafficDistribution": "PreferSameNode",
            "extraPorts": [{"name": "debug", "port": 6060, "targetPort": "debug"}],
        }})["Service", "podsense"]  # fmt: skip
        spec = service["spec"]
        self.assertEqual("true", service["metadata"]["labels"]["monitored"])
        self.assertEqual(("ClientIP", "Local", "PreferSameNode"), tuple(spec[k] for k in ("sessionAffinity", "internalTrafficPolicy", "trafficDistribution")))
        self.assertIn("debug", [p["name"] for p in spec["ports"]])

    def test_monitors_in_another_namespace_look_into_this_one(self):
        here = {"enabled": True, "namespace": "monitoring", "honorLabels": True, "podTargetLabels": ["team"], "sampleLimit": 5000,
                "annotations": {"a": "b"}}  # fmt: skip
        objects = render({"namespaceOverride": "shop", "metrics": {
            "serviceMonitor": {**here, "targetLabels": ["tier"]}, "podMonitor": here,
            "prometheusRule": {"enabled": True, "namespace": "monitoring"}}})  # fmt: skip
        for kind in ("ServiceMonitor", "PodMonitor"):
            monitor = objects[kind, "podsense"]
            self.assertEqual("monitoring", monitor["metadata"]["namespace"])
            self.assertEqual({"matchNames": ["shop"]}, monitor["spec"]["namespaceSelector"])
            self.assertEqual((["team"], 5000), (monitor["spec"]["podTargetLabels"], monitor["spec"]["sampleLimit"]))
        self.assertEqual("monitoring", objects["PrometheusRule", "podsense"]["metadata"]["namespace"])

    def test_autoscalers(self):
        objects = render({
            "autoscaling": {"annotations": {"note": 1}, "containerMetrics": True, "targetMemoryUtilizationPercentage": 80,
                            "behavior": {"scaleUp": {"tolerance": "0.05"}}},
            "envoy": {"enabled": True, "autoscaling": {"enabled": True, "maxReplicas": 9}},
        })  # fmt: skip
        hpa = objects["HorizontalPodAutoscaler", "podsense"]
        self.assertEqual("1", hpa["metadata"]["annotations"]["note"])
        self.assertEqual([("cpu", "podsense"), ("memory", "podsense")],
                         [(m["containerResource"]["name"], m["containerResource"]["container"]) for m in hpa["spec"]["metrics"]])
        self.assertEqual("0.05", hpa["spec"]["behavior"]["scaleUp"]["tolerance"])
        self.assertNotIn("tolerance", str(render()["HorizontalPodAutoscaler", "podsense"]))
        self.assertEqual(9, objects["HorizontalPodAutoscaler", "podsense-envoy"]["spec"]["maxReplicas"])
        self.assertNotIn("replicas", objects["Deployment", "podsense-envoy"]["spec"])

    def test_keda(self):
        keda = {"enabled": True, "annotations": {"autoscaling.keda.sh/paused": True}, "idleReplicaCount": 0,
                "prometheus": {"metadata": {"authModes": "bearer", "timeout": 3000}, "authenticationRef": "token",
                               "authenticationKind": "ClusterTriggerAuthentication"}}  # fmt: skip
        scaled = render({"autoscaling": {"enabled": False}, "keda": keda})["ScaledObject", "podsense"]
        self.assertEqual("true", scaled["metadata"]["annotations"]["autoscaling.keda.sh/paused"])
        self.assertEqual(0, scaled["spec"]["idleReplicaCount"])
        self.assertEqual("currentReplicasIfHigher", scaled["spec"]["fallback"]["behavior"])
        trigger = scaled["spec"]["triggers"][0]
        self.assertEqual("AverageValue", trigger["metricType"])
        self.assertEqual(("bearer", "3000"), (trigger["metadata"]["authModes"], trigger["metadata"]["timeout"]))
        self.assertEqual({"name": "token", "kind": "ClusterTriggerAuthentication"}, trigger["authenticationRef"])
        self.assertIn("kube_deployment_spec_replicas", trigger["metadata"]["query"])

    def test_routes_split_mirror_and_speak_tls(self):
        objects = render({"tls": {"secretName": "web"}, "gateway": {
            "enabled": True, "weight": 90, "backendRefs": [{"name": "canary", "port": 80, "weight": 10}],
            "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x"]}}],
            "mirror": {"name": "shadow", "percent": 5}, "backendTLS": {"hostname": "podsense.example.com"}}})  # fmt: skip
        rule = objects["HTTPRoute", "podsense"]["spec"]["rules"][0]
        self.assertEqual([("podsense", 90), ("canary", 10)], [(b["name"], b["weight"]) for b in rule["backendRefs"]])
        self.assertEqual(["RequestHeaderModifier", "RequestMirror"], [f["type"] for f in rule["filters"]])
        self.assertEqual({"backendRef": {"name": "shadow", "port": 80}, "percent": 5}, rule["filters"][1]["requestMirror"])
        policy = objects["BackendTLSPolicy", "podsense"]["spec"]
        self.assertEqual("podsense", policy["targetRefs"][0]["name"])
        self.assertEqual("System", policy["validation"]["wellKnownCACertificates"])

    def test_an_endpoint_picker_may_choose_the_pod(self):
        for more, port in (({}, 8080), ({"envoy": {"enabled": True, "mode": "sidecar", "port": 8081}}, 8081)):
            pool = {"enabled": True, "picker": "my-picker", "pickerPort": 9003}
            objects = render({"gateway": {"enabled": True, "weight": 90, "inferencePool": pool, "backendRefs": [{"name": "canary", "port": 80}]}, **more})
            spec = objects["InferencePool", "podsense"]["spec"]
            self.assertEqual({"name": "my-picker", "port": {"number": 9003}, "failureMode": "FailOpen"}, spec["endpointPickerRef"])
            self.assertEqual([{"number": port}], spec["targetPorts"])
            template = server(objects)["spec"]["template"]
            self.assertLessEqual(spec["selector"]["matchLabels"].items(), template["metadata"]["labels"].items())
            self.assertEqual("podsense", template["metadata"]["labels"]["inference.networking.k8s.io/engine-type"])
            first, second = objects["HTTPRoute", "podsense"]["spec"]["rules"][0]["backendRefs"]
            self.assertEqual({"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "podsense", "weight": 90}, first)
            self.assertEqual("canary", second["name"])
        self.assertNotIn("engine-type", str(render({"gateway": {"enabled": True}})))
        said = refusal({"gateway": {"enabled": True, "inferencePool": {"enabled": True}}, "envoy": {"enabled": True}})
        self.assertIn("past envoy.mode=deployment", said)

    def test_ingress_controllers_are_told_to_speak_tls_to_the_pods(self):
        values = {"tls": {"secretName": "web"}, "ingress": {"enabled": True, "alb": {"enabled": True}}}
        notes = render(values)["Ingress", "podsense"]["metadata"]["annotations"]
        for key in ("nginx.ingress.kubernetes.io/backend-protocol", "alb.ingress.kubernetes.io/backend-protocol",
                    "alb.ingress.kubernetes.io/healthcheck-protocol"):  # fmt: skip
            self.assertEqual("HTTPS", notes[key])


class Deployments(unittest.TestCase):
    VALUES = {
        "fullnameOverride": "web", "config": {"limits": {"max_body_bytes": 10485760}}, "configEnv": {"A": 1, "B": 2},
        "service": {"type": "NodePort", "nodePort": 30001}, "secret": {"create": True, "data": {"K": "v"}, "asEnv": True},
        "models": {"source": "pvc"}, "ingress": {"enabled": True}, "gateway": {"enabled": True}, "loadBalancer": {"enabled": True},
        "metrics": {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}, "podDisruptionBudget": {"name": "mine"},
        "deployments": {
            "vision": {"extraArgs": ["--only-models=efficientnet-lite0"], "autoscaling": {"maxReplicas": 20},
                       "resources": {"requests": {"cpu": "1"}}, "configEnv": {"B": None, "C": 3}},
            "rows": {"autoscaling": {"enabled": False}, "replicaCount": 1, "networkPolicy": {"enabled": False},
                     "ingress": {"enabled": True, "hosts": [{"host": "rows.test", "paths": [{"path": "/", "pathType": "Prefix"}]}]}},
        },
    }  # fmt: skip

    def setUp(self):
        self.objects = render(self.VALUES)

    def spec(self, name):
        return self.objects["Deployment", name]["spec"]["template"]["spec"]

    def test_each_has_objects_of_its_own_and_what_there_is_once_is_shared(self):
        names = {kind: sorted(n for k, n in self.objects if k == kind) for kind, _ in self.objects}
        self.assertEqual(["web", "web-rows", "web-vision"], names["Deployment"])
        self.assertEqual(["web", "web-vision"], names["HorizontalPodAutoscaler"])
        self.assertEqual(["web", "web-vision"], names["NetworkPolicy"])
        self.assertEqual(["mine", "web-vision"], names["PodDisruptionBudget"])  # one pod has none
        self.assertEqual(["web", "web-rows"], names["Ingress"])
        self.assertEqual(["web"], names["HTTPRoute"])
        for kind in ("ServiceMonitor", "PrometheusRule"):
            self.assertEqual(["web", "web-rows", "web-vision"], names[kind])
        for kind in ("ServiceAccount", "Secret", "PersistentVolumeClaim"):
            self.assertEqual(1, len(names[kind]), kind)
        for name in names["Deployment"]:
            spec = self.spec(name)
            self.assertEqual(("web", "web"), (spec["serviceAccountName"], spec["containers"][0]["envFrom"][-1]["secretRef"]["name"]))
            claims = [v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"] if "persistentVolumeClaim" in v]
            self.assertEqual(["web-models"], claims)

    def test_what_is_given_replaces_and_the_rest_is_shared(self):
        vision, rows = self.spec("web-vision")["containers"][0], self.spec("web-rows")["containers"][0]
        self.assertIn("--only-models=efficientnet-lite0", vision["args"])
        self.assertNotIn("--only-models=efficientnet-lite0", rows["args"])
        self.assertEqual(("1", "256Mi"), (vision["resources"]["requests"]["cpu"], vision["resources"]["requests"]["memory"]))
        self.assertEqual({"A": "1", "C": "3"}, self.objects["ConfigMap", "web-vision"]["data"])
        self.assertEqual({"A": "1", "B": "2"}, self.objects["ConfigMap", "web-rows"]["data"])
        self.assertIn("10485760\n", self.objects["ConfigMap", "web-vision-config"]["data"]["podsense.yaml"])
        self.assertEqual(20, self.objects["HorizontalPodAutoscaler", "web-vision"]["spec"]["maxReplicas"])
        self.assertEqual("web-vision", self.objects["HorizontalPodAutoscaler", "web-vision"]["spec"]["scaleTargetRef"]["name"])
        self.assertEqual(1, self.objects["Deployment", "web-rows"]["spec"]["replicas"])

    def test_no_selector_meets_anothers_pods_and_no_node_port_is_taken_twice(self):
        labels = {n: o["spec"]["template"]["metadata"]["labels"] for (k, n), o in self.objects.items() if k == "Deployment"}
        seen = 0
        for (kind, name), o in self.objects.items():
            spec = o.get("spec", {})
            selector = {"Service": spec.get("selector"), "Deployment": spec.get("selector", {}).get("matchLabels"),
                        "NetworkPolicy": spec.get("podSelector", {}).get("matchLabels"),
                        "PodDisruptionBudget": spec.get("selector", {}).get("matchLabels")}.get(kind)  # fmt: skip
            if selector:
                seen += 1
                self.assertEqual(1, sum(selector.items() <= its.items() for its in labels.values()), (kind, name))
        self.assertGreater(seen, 10)
        ports = [p["nodePort"] for o in kinds(self.objects, "Service") for p in o["spec"]["ports"] if "nodePort" in p]
        self.assertEqual([30001], ports)
        for monitor in kinds(self.objects, "ServiceMonitor"):
            wanted = monitor["spec"]["selector"]["matchLabels"].items()
            self.assertEqual(1, sum(wanted <= s["metadata"]["labels"].items() for s in kinds(self.objects, "Service")))

    def test_what_cannot_be_is_refused(self):
        for one, word in [({"no-such-value": 1}, "no-such-value"), ({"models": {"source": "pvc"}}, "existingClaim"),
                          ({"autoscaling": {"minReplicas": 9, "maxReplicas": 3}}, "minReplicas")]:  # fmt: skip
            self.assertIn(word, refusal({"deployments": {"a": one}}))
        self.assertIn("deployments", refusal({"deployments": {"a.b": {}}}))
        self.assertIn("longer than 53", refusal({"deployments": {"a" * 50: {}}}))
        self.assertTrue(render({"deployments": {"a": {}}})["Deployment", "podsense-a"])


class Egress(unittest.TestCase):
    def rules(self, arguments=(), **values):
        policy = render(values, arguments=arguments)["NetworkPolicy", "podsense"]["spec"]["egress"]
        return [(port["port"], to) for rule in policy for port in rule["ports"] for to in rule["to"]]

    def test_what_the_values_name_is_let_out(self):
        inside = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}}
        for values, wanted in [
            ({"config": {"tracing": {"endpoint": "http://collector.observability.svc:4318"}}}, (4318, inside)),
            ({"configEnv": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.observability.svc.cluster.local:4318"}}, (4318, inside)),
            ({"extraArgs": ["--otlp-endpoint=http://collector:4318"]}, (4318, {"podSelector": {}})),
            ({"extraArgs": ["--otlp-endpoint", "http://10.1.2.3:4318/"]}, (4318, {"ipBlock": {"cidr": "10.1.2.3/32"}})),
            ({"env": [{"name": "HTTPS_PROXY", "value": "http://[fd00::5]:3128"}]}, (3128, {"ipBlock": {"cidr": "fd00::5/128"}})),
            ({"models": {"download": {"s3Endpoint": "http://minio.storage.svc:9000"}}},
             (9000, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "storage"}}})),
            ({"config": {"fetch": {"allow_cidrs": ["10.9.0.0/16"]}}}, (443, {"ipBlock": {"cidr": "10.9.0.0/16"}})),
            ({"configEnv": {"PODSENSE_FETCH_ALLOW_CIDRS": "10.9.0.0/16, 10.8.0.1"}}, (80, {"ipBlock": {"cidr": "10.8.0.1/32"}})),
            ({"extraArgs": ["--fetch-allow-cidrs=10.7.0.0/16"]}, (443, {"ipBlock": {"cidr": "10.7.0.0/16"}})),
            ({"extraArgs": ["--fetch-allow-cidrs", "10.7.0.0/16"], "config": {"fetch": {"ports": [8443]}}},
             (8443, {"ipBlock": {"cidr": "10.7.0.0/16"}})),
            ({"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"}},
              "networkPolicy": {"egress": {"fetch": False, "privateNetworks": ["10.0.0.0/16"]}}},
             (443, {"ipBlock": {"cidr": "10.0.0.0/16"}})),
        ]:  # fmt: skip
            with self.subTest(values):
                self.assertIn(wanted, self.rules(**values))

    def test_nothing_else_is(self):
        plain = self.rules()
        self.assertEqual(plain, self.rules(config={"tracing": {"endpoint": ""}}))
        self.assertEqual(plain, self.rules(config={"tracing": {"endpoint": "http://127.0.0.1:4318"}}))
        self.assertEqual({53, 5353, 80, 443}, {port for port, _ in plain})
        for values in ({"config": {"fetch": {"ports": [443, 8443]}}}, {"env": [{"name": "PODSENSE_FETCH_PORTS", "value": "443,8443"}]},
                       {"extraArgs": ["--fetch-ports=443, 8443"], "config": {"fetch": {"ports": 80}}}):  # fmt: skip
            self.assertEqual({53, 5353, 443, 8443}, {port for port, _ in self.rules(**values)})

    def test_dns_of_other_clusters_is_reached(self):
        gke = (53, {"ipBlock": {"cidr": "169.254.169.254/32"}})
        self.assertIn(gke, self.rules(networkPolicy={"egress": {"gkeDns": True}}))
        self.assertIn(gke, self.rules(("--api-versions", "networking.gke.io/v1")))
        self.assertNotIn(gke, self.rules())
        self.assertIn((53, {"ipBlock": {"cidr": "169.254.20.10/32"}}), self.rules())
        openshift = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "openshift-dns"}}}
        self.assertIn((5353, openshift), self.rules())


class Rules(unittest.TestCase):
    def groups(self, **values):
        on = {"metrics": {"prometheusRule": {"enabled": True, **values}, "serviceMonitor": {"enabled": True}}}
        return render({"namespaceOverride": "shop", **on})["PrometheusRule", "podsense"]["spec"]["groups"]

    def alerts(self, **values):
        return [rule for group in self.groups(**values) for rule in group["rules"] if "alert" in rule]

    def test_each_alert_can_be_switched_off_or_tuned(self):
        tuned = {"threshold": 1.2, "for": "30m", "keepFiringFor": "1h", "severity": "critical", "labels": {"team": 7}}
        rules = {"PodSenseSaturated": tuned, "PodSenseThrottled": {"enabled": False}, "PodSenseErrorBudgetBurn": {"threshold": 50}}
        found = self.alerts(rules=rules)
        self.assertNotIn("PodSenseThrottled", {a["alert"] for a in found})
        (saturated,) = [a for a in found if a["alert"] == "PodSenseSaturated"]
        self.assertIn("> 1.2", saturated["expr"])
        self.assertEqual(("30m", "1h"), (saturated["for"], saturated["keep_firing_for"]))
        self.assertEqual({"severity": "critical", "team": "7"}, saturated["labels"])
        for alert in found:
            if alert["alert"] == "PodSenseErrorBudgetBurn":
                self.assertIn(">= 50", alert["expr"])
        names = {a["alert"] for a in self.alerts()}
        self.assertEqual([], self.alerts(rules={name: {"enabled": False} for name in names}))

    def test_an_alert_that_is_not_there_or_has_no_threshold_is_refused(self):
        for rules, words in [({"PodSenseSaturatd": {}}, ["PodSenseSaturatd", "PodSenseSaturated"]),
                             ({"PodSenseCrashLoop": {"threshold": 2}}, ["PodSenseCrashLoop", "no threshold"])]:  # fmt: skip
            said = refusal({"metrics": {"prometheusRule": {"enabled": True, "rules": rules}}})
            for word in words:
                self.assertIn(word, said)

    def test_every_tunable_threshold_is_found(self):
        names = {a["alert"] for a in self.alerts()}
        tuned = 0
        for name in sorted(names):
            try:
                self.alerts(rules={name: {"threshold": 77}})
                tuned += 1
            except AssertionError as error:
                self.assertIn("it has no threshold", str(error))
        self.assertEqual(9, tuned)

    def test_rules_of_a_release_are_about_its_pods_alone(self):
        for group in self.groups():
            for rule in group["rules"]:
                expr = rule["expr"]
                for name, selector in re.findall(r"\b((?:podsense|kube)_[a-z0-9_:]+|up)(\{[^}]*\})?", expr):
                    with self.subTest(rule=rule.get("record", rule.get("alert")), series=name):
                        self.assertIn('namespace="shop"', selector)
                        if not name.startswith("kube_") and not name.endswith(":info"):
                            self.assertIn('job="podsense"', selector)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(yaml.dump({"groups": self.groups()}))
            file.flush()
            done = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True)
            self.assertEqual(0, done.returncode, done.stderr)
        self.assertNotIn('namespace="shop"', str(self.groups(scope="all")))

    def test_two_releases_in_one_namespace_neither_double_nor_mask_each_other(self):
        """Alerts of each release carry its own label: those of the other's pods must not."""
        names = sorted({a["alert"] for a in self.alerts()})
        with tempfile.TemporaryDirectory() as folder:
            for release in ("a", "a-2"):
                on = {"fullnameOverride": release, "envoy": {"enabled": True}, "metrics": {
                    "serviceMonitor": {"enabled": True},
                    "prometheusRule": {"enabled": True, "rules": {n: {"labels": {"of": release}} for n in names}}}}  # fmt: skip
                rule = render(on, arguments=("-n", "n"))["PrometheusRule", release]["spec"]
                pathlib.Path(folder, f"{release}.yaml").write_text(yaml.dump(rule), encoding="utf-8")
            pods = {"a": ["a-5d8f-x2v7p", "a-envoy-5d8f-x2v7p"], "a-2": ["a-2-5d8f-x2v7p"]}
            series = []
            for release, its in pods.items():
                for pod in its:
                    owner = pod.rsplit("-", 2)[0]
                    series += [
                        f'kube_pod_container_info{{namespace="n",pod="{pod}",container="podsense"}}',
                        f'kube_pod_owner{{namespace="n",pod="{pod}",owner_kind="ReplicaSet",owner_name="{owner}-5d8f"}}',
                        f'kube_replicaset_owner{{namespace="n",replicaset="{owner}-5d8f",owner_kind="Deployment",owner_name="{owner}"}}',
                        f'kube_deployment_spec_replicas{{namespace="n",deployment="{owner}"}}',
                    ]
                series.append(f'kube_horizontalpodautoscaler_info{{namespace="n",horizontalpodautoscaler="{release}",'
                              f'scaletargetref_kind="Deployment",scaletargetref_name="{release}"}}')  # fmt: skip
            bad = 'namespace="n",pod="a-5d8f-x2v7p"'
            hpa = 'namespace="n",horizontalpodautoscaler="a"'
            series += [
                f'kube_pod_container_status_waiting_reason{{{bad},reason="CrashLoopBackOff"}}',
                f'kube_horizontalpodautoscaler_spec_max_replicas{{{hpa}}}', f'kube_horizontalpodautoscaler_status_desired_replicas{{{hpa}}}',
                f'kube_horizontalpodautoscaler_status_condition{{{hpa},condition="AbleToScale",status="false"}}',
                *[f'kube_deployment_status_replicas_ready{{namespace="n",deployment="{d}"}}' for d in ("a", "a-envoy")],
                f'up{{{bad},job="a",instance="1"}}', f'podsense_build_info{{{bad},job="a",instance="1"}}',
                f'podsense_ready{{{bad},job="a",instance="1"}}', 'up{namespace="n",pod="a-2-5d8f-x2v7p",job="a-2",instance="2"}',
            ]  # fmt: skip
            inputs = [{"series": s, "values": "1x100"} for s in series]
            inputs += [
                {"series": f'kube_horizontalpodautoscaler_spec_min_replicas{{{hpa}}}', "values": "0x100"},
                {"series": 'kube_deployment_status_replicas_ready{namespace="n",deployment="a-2"}', "values": "0x100"},
                {"series": f'envoy_cluster_upstream_cx_connect_fail{{envoy_cluster_name="podsense",job="a-envoy",{bad.replace("a-", "a-envoy-", 1)}}}',
                 "values": "0+60x100"},
            ]  # fmt: skip
            wanted = {"PodSenseCrashLoop": "a", "PodSenseAutoscalerAtMaximum": "a", "PodSenseAutoscalerUnable": "a",
                      "PodSenseEnvoyUpstreamFailing": "a", "PodSenseNoPodReady": "a-2"}  # fmt: skip
            case = {"rule_files": ["a.yaml", "a-2.yaml"], "evaluation_interval": "1m", "tests": [{
                "interval": "1m", "input_series": inputs, "promql_expr_test": [
                    {"expr": f'count by (of) (ALERTS{{alertname="{alert}",alertstate="firing"}})', "eval_time": "50m",
                     "exp_samples": [{"labels": f'{{of="{wanted[alert]}"}}', "value": 1}] if alert in wanted else []}
                    for alert in names]}]}  # fmt: skip
            pathlib.Path(folder, "test.yaml").write_text(yaml.dump(case), encoding="utf-8")
            done = subprocess.run(["promtool", "test", "rules", "test.yaml"], cwd=folder, capture_output=True, text=True)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_pods_of_long_names_are_found_too(self):
        # Kubernetes cuts the name of a pod's owner at 58 characters.
        letters = "bcdfg2456"
        for length in (8, 46, 47, 53):
            name = "x" * length
            query = next(r["expr"] for g in self.groups_of(name) for r in g["rules"] if r.get("alert") == "PodSenseCrashLoop")
            pattern = re.search(r'kube_pod_container_status_waiting_reason\{[^}]*?pod=~"((?:[^"])*)"', query).group(1)
            pod = f"{name}-{letters}-"[:58] + "x2v7p"
            self.assertRegex(pod, f"^(?:{pattern})$")
            if length < 40:
                self.assertNotRegex(f"{name}-2-{letters}-x2v7p", f"^(?:{pattern})$")
            self.assertNotRegex(f"{name}-load-x2v7p", f"^(?:{pattern})$")

    def groups_of(self, name):
        on = {"prometheusRule": {"enabled": True}}
        return render({"fullnameOverride": name, "metrics": on})["PrometheusRule", name]["spec"]["groups"]

    def test_a_job_that_is_not_known_is_not_looked_for(self):
        rule = {"metrics": {"prometheusRule": {"enabled": True}}}
        self.assertNotIn('job="', str(render(rule)["PrometheusRule", "podsense"]).replace('job=~".*podsense.*"', ""))


class Upgrades(unittest.TestCase):
    """`helm upgrade --reuse-values` renders this chart with the values of the one that is installed."""

    COMMITS = ("3b0f47c", "ae3e674", "8d5ed1f", "c9746f7")

    def test_values_of_earlier_charts_work_or_say_what_to_do(self):
        for commit in self.COMMITS:
            place = f"{commit}:helm/podsense/values.yaml"
            done = subprocess.run(["git", "show", place], cwd=CHART, capture_output=True, text=True)
            if done.returncode:
                self.skipTest(f"{place}: {done.stderr.strip()}")
            with self.subTest(commit=commit), tempfile.TemporaryDirectory() as folder:
                chart = pathlib.Path(folder, "podsense")
                shutil.copytree(CHART, chart)
                (chart / "values.yaml").write_text(done.stdout, encoding="utf-8")
                more = ("--set", "metrics.prometheusRule.enabled=true,metrics.podMonitor.enabled=true,gateway.enabled=true,envoy.enabled=true")
                try:
                    self.assertTrue(rendered_by(chart, *more))
                except AssertionError as error:
                    self.assertIn("--reset-then-reuse-values", str(error))


class Quota(unittest.TestCase):
    def test_the_ml_inference_preset_fits_its_quota_also_while_it_rolls(self):
        objects = preset("ml-inference")
        spec = pod(objects)
        hpa = kinds(objects, "HorizontalPodAutoscaler")[0]["spec"]
        surge = server(objects)["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
        draining = 3  # those that end count until they have gone, and draining takes longer than becoming ready
        pods = hpa["maxReplicas"] + surge + draining
        memory = int(spec["containers"][0]["resources"]["requests"]["memory"].removesuffix("Mi"))
        cpu = int(spec["containers"][0]["resources"]["requests"]["cpu"].removesuffix("m"))
        self.assertLessEqual(pods * memory, 4 * 1024)
        self.assertLessEqual(pods * cpu, 4000)

    def test_production_pods_are_placed_on_nodes_without_zones(self):
        for constraint in pod(preset("production"))["topologySpreadConstraints"]:
            self.assertEqual("ScheduleAnyway", constraint["whenUnsatisfiable"])


if __name__ == "__main__":
    unittest.main()
