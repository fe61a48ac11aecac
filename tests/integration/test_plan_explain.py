"""`podsense plan explain`: files, standard input, and a cluster that kubectl asks."""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import BINARY, LIMIT, ROOT, clean_environment
from kubernetes_double import Kubernetes, needs_kubectl

HPA = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
       "metadata": {"name": "web", "namespace": "shop"},
       "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "minReplicas": 2, "maxReplicas": 10,
                "metrics": [{"type": "Resource", "resource": {
                    "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]}}
POD_SPEC = {"terminationGracePeriodSeconds": 40,
            "containers": [{"name": "main", "image": "podsense:0.1.0", "args": ["serve"],
                            "resources": {"requests": {"cpu": "250m", "memory": "256Mi"},
                                          "limits": {"cpu": "250m"}},
                            "startupProbe": {"periodSeconds": 1, "failureThreshold": 120}}]}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment",
              "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
              "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
                       "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD_SPEC}}}
BUDGET = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web", "namespace": "shop"},
          "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}}


def explain(*arguments, text=None, environment=None):
    return subprocess.run([str(BINARY), "plan", "explain", *map(str, arguments)], input=text, text=True,
                          capture_output=True, timeout=LIMIT, check=False, env=environment)


def ids(done):
    return [(one["severity"], one["id"]) for one in json.loads(done.stdout)["findings"]]


class Files(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name, content):
        path = Path(self.folder.name, name)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def test_lists_single_objects_and_yaml_together(self):
        files = [self.file("hpa.json", {"apiVersion": "v1", "kind": "List", "items": [HPA]}),
                 self.file("deployment.json", DEPLOYMENT),
                 self.file("rest.yaml", "kind: Service\nmetadata: {name: x}\n---\n---\n# nothing\n---\n" +
                           json.dumps(BUDGET))]
        done = explain(*files, "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(("error", "budget-blocks-drain"), ids(done))
        self.assertIn(("warning", "limit-hides-overload"), ids(done))
        self.assertEqual(json.loads(done.stdout)["errors"], 1)
        text = explain(*files)
        self.assertIn("minAvailable 2 of 2 pods lets 0 be evicted", text.stdout)
        self.assertIn("1 error, 1 warning, ", text.stdout)

    def test_strict_is_for_errors_alone(self):
        faulty = self.file("faulty.json", {"kind": "List", "items": [HPA, DEPLOYMENT, BUDGET]})
        sound = self.file("sound.json", {"kind": "List", "items": [HPA, DEPLOYMENT]})
        self.assertEqual(explain(faulty).returncode, 0)
        self.assertEqual(explain(faulty, "--strict").returncode, 1)
        self.assertEqual(explain(sound, "--strict").returncode, 0)
        self.assertEqual(explain("-", "--strict", text=faulty.read_text()).returncode, 1)

    def test_traffic_is_held_against_start_and_window(self):
        objects = self.file("objects.json", {"kind": "List", "items": [HPA, DEPLOYMENT]})
        trace = self.file("day.csv", "minute,count\n" + "".join(f"{m},{60 if m < 3 else 600}\n" for m in range(1, 5)))
        done = explain(objects, "--trace", trace, "--start-up", "30s", "--json")
        self.assertIn(("error", "ramp-beats-start"), ids(done))
        self.assertIn(("warning", "window-outlives-traffic"), ids(done))

    def test_faults_are_one_line(self):
        for content, arguments, part in [
                ("{", (), "is not JSON"),
                ("kind: [", (), "not YAML"),
                ("kind: Service", (), "neither a Deployment or StatefulSet nor an autoscaler"),
                (dict(HPA, apiVersion="autoscaling/v1"), (), "accepted: autoscaling/v2"),
                (dict(HPA, spec=dict(HPA["spec"], maxReplicas="ten")), (), "spec.maxReplicas"),
                (HPA, ("--name", "wbe"), "nothing in the files is called wbe"),
                (HPA, ("--trace", "/nowhere"), "/nowhere"),
                (HPA, ("--kubernetes", "1.2"), "--kubernetes"),
        ]:
            done = explain(self.file("x", content), *arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), part)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertTrue(done.stderr.startswith("podsense plan explain: "), done.stderr)
            self.assertIn(part, done.stderr)
        self.assertIn("give files, or -n NAMESPACE", explain().stderr)
        self.assertIn("/nowhere", explain("/nowhere").stderr)

    def test_manifests_of_the_repository_have_no_errors_or_warnings(self):
        for folder in ("k8s/base", "k8s/overlays/dev", "k8s/overlays/ml-inference", "k8s/overlays/model-api",
                       "k8s/overlays/platform"):
            files = [file for file in sorted((ROOT / folder).rglob("*.yaml"))
                     if file.name != "kustomization.yaml" and "patch" not in file.name]
            done = explain(*files, "--json")
            if "neither a Deployment" in done.stderr:
                continue  # an overlay of patches alone
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual([one for one in json.loads(done.stdout)["findings"] if one["severity"] != "note"], [],
                             folder)


class Cluster(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def ask(self, objects, *arguments):
        with Kubernetes(objects) as environment:
            return explain(*arguments, environment=environment)

    @needs_kubectl
    def test_a_namespace_of_a_cluster(self):
        objects = {"HorizontalPodAutoscaler": [HPA], "Deployment": [DEPLOYMENT], "PodDisruptionBudget": [BUDGET],
                   "Node": [{"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n1"},
                             "status": {"allocatable": {"cpu": "1", "memory": "8Gi", "pods": "110"}}}],
                   "Pod": [{"kind": "Pod", "apiVersion": "v1",
                            "metadata": {"name": "web-1", "namespace": "shop", "labels": {"app": "web"},
                                         "creationTimestamp": "2026-11-29T10:00:00Z"},
                            "spec": POD_SPEC | {"nodeName": "n1"},
                            "status": {"phase": "Running", "conditions": [
                                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-29T10:00:20Z"}]}}]}
        done = self.ask(objects, "-n", "shop", "web", "--json", "--strict")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(("error", "budget-blocks-drain"), ids(done))
        found = {one["id"]: one for one in json.loads(done.stdout)["findings"]}
        self.assertEqual(found["nodes-below-max"]["figures"]["pods_that_fit"], 4)
        self.assertIn("20 s to be ready (median of 1 pod)", found["ramp-limit"]["what"])
        self.assertIn("nothing in the files is called api", self.ask(objects, "-n", "shop", "api").stderr)

    @needs_kubectl
    def test_what_a_user_may_not_see_is_left_out(self):
        objects = {"HorizontalPodAutoscaler": [HPA], "Deployment": [DEPLOYMENT], "PodDisruptionBudget": [BUDGET]}
        raw = {"/api/v1/namespaces/shop/resourcequotas": None}  # 404
        with Kubernetes(objects, raw) as environment:
            done = explain("-n", "shop", "--json", environment=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("without resourcequotas: `kubectl get resourcequotas", done.stderr)
        self.assertIn(("error", "budget-blocks-drain"), ids(done))

    def test_a_cluster_that_does_not_answer_is_one_line(self):
        environment = clean_environment() | {"KUBECONFIG": str(Path(self.folder.name, "none")), "HOME": self.folder.name,
                                             "PATH": self.folder.name}
        done = explain("-n", "shop", environment=environment)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("there is no kubectl on the PATH", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
