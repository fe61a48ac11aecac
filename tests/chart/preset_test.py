"""The names, ports and numbers that people's commands and expectations rely on."""

import unittest

from render import CHART, kinds, preset, render, server


def port(service, name="http"):
    return next(p for p in service["spec"]["ports"] if p["name"] == name)


def container(objects):
    return server(objects)["spec"]["template"]["spec"]["containers"][0]


def targets(hpa):
    return {
        m["resource"]["name"]: m["resource"]["target"]["averageUtilization"]
        for m in hpa["spec"]["metrics"]
    }


class Presets(unittest.TestCase):
    maxDiff = None

    def test_nodeport_answers_on_30001(self):
        service = preset("nodeport")["Service", "podsense"]
        self.assertEqual("NodePort", service["spec"]["type"])
        self.assertEqual(30001, port(service)["nodePort"])

    def test_ingress_limits_rate_body_and_time(self):
        ingress = preset("ingress")["Ingress", "podsense"]
        prefix = "nginx.ingress.kubernetes.io/"
        got = {k.removeprefix(prefix): v for k, v in ingress["metadata"]["annotations"].items()}
        self.assertEqual(
            {
                "limit-rps": "100",
                "proxy-body-size": "10m",
                "proxy-connect-timeout": "30",
                "proxy-read-timeout": "30",
                "proxy-send-timeout": "30",
                "service-upstream": "true",
                "ssl-redirect": "false",
            },
            got,
        )
        self.assertEqual("nginx", ingress["spec"]["ingressClassName"])

    def test_production_runs_5_to_20_pods_of_2_cores(self):
        objects = preset("production")
        self.assertEqual({"cpu": "2000m", "memory": "4Gi"}, limits(objects))
        hpa = objects["HorizontalPodAutoscaler", "podsense"]["spec"]
        self.assertEqual((5, 20), (hpa["minReplicas"], hpa["maxReplicas"]))
        fixed = server(preset("production", {"autoscaling": {"enabled": False}}))
        self.assertEqual(5, fixed["spec"]["replicas"])

    def test_ml_inference_is_as_described(self):
        objects = preset("ml-inference")
        self.assertEqual({"ml-inference"}, {o["metadata"]["namespace"] for o in objects.values()})
        self.assertEqual("ml-inference-api", server(objects)["metadata"]["name"])
        self.assertEqual("ml-inference-api", container(objects)["name"])
        inside = objects["Service", "ml-inference-service"]
        self.assertEqual(("ClusterIP", 5000), (inside["spec"]["type"], port(inside)["port"]))
        outside = objects["Service", "ml-inference-lb"]
        self.assertEqual(("LoadBalancer", 80), (outside["spec"]["type"], port(outside)["port"]))
        self.assertIn({"name": "http", "containerPort": 5000}, container(objects)["ports"])
        self.assertIn("--http-port=5000", container(objects)["args"])
        hpa = kinds(objects, "HorizontalPodAutoscaler")[0]
        self.assertEqual((2, 10), (hpa["spec"]["minReplicas"], hpa["spec"]["maxReplicas"]))
        self.assertEqual({"cpu": 70, "memory": 80}, targets(hpa))
        self.assertEqual((0, 300), windows(hpa))
        self.assertEqual({"cpu": "250m", "memory": "288Mi"}, requests(objects))
        self.assertEqual({"cpu": "1000m", "memory": "1Gi"}, limits(objects))
        quota = kinds(objects, "ResourceQuota")[0]["spec"]["hard"]
        self.assertEqual({"requests.cpu": "4", "requests.memory": "4Gi"}, quota)
        self.assertEqual(1, kinds(objects, "PodDisruptionBudget")[0]["spec"]["minAvailable"])
        data = kinds(objects, "ConfigMap")[0]["data"]
        self.assertEqual(("42", "100"), (data["RANDOM_STATE"], data["N_ESTIMATORS"]))
        for kind in ("Role", "RoleBinding", "NetworkPolicy", "LimitRange"):
            self.assertEqual(1, len(kinds(objects, kind)), kind)

    def test_model_api_is_as_described(self):
        objects = preset("model-api")
        deployment = objects["Deployment", "model-api"]["spec"]
        self.assertEqual({"ml-serving"}, {o["metadata"]["namespace"] for o in objects.values()})
        self.assertEqual({"maxSurge": 1, "maxUnavailable": 0}, deployment["strategy"]["rollingUpdate"])
        self.assertEqual("model-api", container(objects)["name"])
        self.assertEqual({"cpu": "500m", "memory": "1Gi"}, requests(objects))
        self.assertEqual({"cpu": "1000m", "memory": "2Gi"}, limits(objects))
        liveness, readiness = (container(objects)[f"{p}Probe"] for p in ("liveness", "readiness"))
        self.assertEqual(("/health?probe=liveness", 30, 10, 5), timings(liveness))
        self.assertEqual(("/health", 20, 5, 3), timings(readiness))
        service = objects["Service", "model-api"]
        self.assertEqual((80, 8000), (port(service)["port"], port(service, "metrics")["port"]))
        self.assertIn({"name": "http", "containerPort": 5000}, container(objects)["ports"])
        self.assertEqual("LoadBalancer", objects["Service", "model-api-lb"]["spec"]["type"])
        hpa = objects["HorizontalPodAutoscaler", "model-api-hpa"]
        self.assertEqual((3, 10), (hpa["spec"]["minReplicas"], hpa["spec"]["maxReplicas"]))
        self.assertEqual({"cpu": 70, "memory": 80}, targets(hpa))
        up, down = hpa["spec"]["behavior"]["scaleUp"], hpa["spec"]["behavior"]["scaleDown"]
        rules = [(p["type"], p["value"], p["periodSeconds"]) for p in up["policies"]]
        self.assertEqual([("Percent", 100, 30), ("Pods", 2, 30)], rules)
        self.assertEqual("Max", up["selectPolicy"])
        self.assertEqual((300, 50), (down["stabilizationWindowSeconds"], down["policies"][0]["value"]))
        self.assertEqual(2, objects["PodDisruptionBudget", "model-api-pdb"]["spec"]["minAvailable"])
        for name in (("Ingress", "model-api-ingress"), ("NetworkPolicy", "model-api-netpol")):
            self.assertIn(name, objects)
        labels = server(objects)["spec"]["template"]["metadata"]["labels"]
        self.assertEqual("model-api", labels["app"])

    def test_model_api_without_an_autoscaler_has_3_pods(self):
        objects = preset("model-api", {"autoscaling": {"enabled": False}})
        self.assertEqual(3, server(objects)["spec"]["replicas"])

    def test_quick_probes_wait_for_nothing_but_the_startup_probe(self):
        files = [CHART / f"values-{name}.yaml" for name in ("model-api", "quick-probes")]
        probes = container(render({}, *files))
        self.assertEqual("/startupz?wait", probes["startupProbe"]["httpGet"]["path"])
        self.assertEqual(1, probes["startupProbe"]["periodSeconds"])
        for name in ("livenessProbe", "readinessProbe"):
            self.assertEqual(0, probes[name].get("initialDelaySeconds", 0), name)
        self.assertEqual(("/health", 0, 5, 3), timings(probes["readinessProbe"]))

    def test_platform_leads_from_ingress_to_envoy_to_grpc(self):
        objects = preset("platform")
        rule = objects["Ingress", "envoy"]["spec"]["rules"][0]
        self.assertEqual("envoy", rule["http"]["paths"][0]["backend"]["service"]["name"])
        self.assertIn(("Deployment", "envoy"), objects)
        config = objects["ConfigMap", "envoy"]["data"]["envoy.yaml"]
        headless = objects["Service", "grpc-server-headless"]["spec"]
        self.assertEqual("None", headless["clusterIP"])
        self.assertIn("address: grpc-server-headless, port_value: 9000", config)
        self.assertEqual({"port": 9000}, container(objects)["livenessProbe"]["grpc"])
        self.assertEqual("/startupz?wait", container(objects)["startupProbe"]["httpGet"]["path"])

    def test_simulator_scales_at_60_per_cent_up_to_10(self):
        objects = preset("simulator")
        hpa = objects["HorizontalPodAutoscaler", "inference-sim"]
        self.assertEqual({"cpu": 60}, targets(hpa))
        self.assertEqual(10, hpa["spec"]["maxReplicas"])
        service = objects["Service", "inference-sim"]
        self.assertEqual(("ClusterIP", 80), (service["spec"]["type"], port(service)["port"]))
        self.assertIn({"name": "http", "containerPort": 8080}, container(objects)["ports"])
        self.assertIn(("ConfigMap", "inference-sim"), objects)


def without_disk(quantities):
    return {k: v for k, v in quantities.items() if k != "ephemeral-storage"}


def requests(objects):
    return without_disk(container(objects)["resources"]["requests"])


def limits(objects):
    return without_disk(container(objects)["resources"]["limits"])


def windows(hpa):
    behavior = hpa["spec"]["behavior"]
    return tuple(behavior[d]["stabilizationWindowSeconds"] for d in ("scaleUp", "scaleDown"))


def timings(probe):
    return (
        probe["httpGet"]["path"],
        probe["initialDelaySeconds"],
        probe["periodSeconds"],
        probe["timeoutSeconds"],
    )


if __name__ == "__main__":
    unittest.main()
