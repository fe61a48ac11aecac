"""The workflows of compat/, typed: every command of each README, in its folder and order."""

import re
import subprocess

import cluster
import commands
import ingress
from typed import Shell

FOLDER = cluster.ROOT / "compat"
PORT_OF_CONTROLLER = ("$(kubectl get svc ingress-ingress-nginx-controller -n ingress "
                      "-o jsonpath='{.spec.ports[?(@.name==\"http\")].nodePort}')")  # fmt: skip


def written(name):
    """The commands of a README's blocks; one that goes on over several lines is one."""
    text = (FOLDER / name / "README.md").read_text("utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S):
        yield from re.sub(r" \\\n\s*", " ", block).splitlines()


def through(name, context, values=None, before=None):
    with Shell(FOLDER / name, values, before) as shell:
        for command in written(name):
            shell.type(command)
        shell.report(context.figures, f"compat/{name}")
    if not shell.typed:
        raise cluster.Failure(f"compat/{name}/README.md has no command")


def first_pod(namespace):
    return cluster.wait_until(lambda: cluster.ready_pods(namespace), f"a ready pod in {namespace}")[0]


def service_monitors():
    """The kind of the Prometheus operator that the manifests use, from the module that publishes it."""
    path = ingress.module("github.com/prometheus-operator/prometheus-operator", "v0.85.0")
    return path / "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"


def podsense(context):
    """compat/podsense, typed: image classification by manifests, then by Helm, through node port and ingress."""
    commands.forget("podsense", "ingress", "monitoring")
    install = "helm install podsense helm/podsense -n podsense --create-namespace -f helm/podsense/values-nodeport.yaml"
    try:
        with ingress.controller():
            through("podsense", context, {PORT_OF_CONTROLLER: str(ingress.PORT)}, {
                install: ["kubectl delete -f k8s/deployment.yaml -n podsense"],
                "helm install podsense helm/podsense -n podsense": ["helm uninstall podsense -n podsense --wait"],
            })  # fmt: skip
    finally:
        commands.forget("podsense", "ingress", "monitoring")


def eks(context):
    """compat/eks, typed: the three manifests, until rows are answered through the load balancer's Service."""
    commands.forget("ml-inference")
    monitors = service_monitors()
    cluster.run(["kubectl", "apply", "--server-side", "-f", monitors])
    try:
        through("eks", context, {
            "http://<LoadBalancer-URL>": lambda: commands.node_port_of("ml-inference", "ml-inference-lb"),
            "<pod-name>": lambda: first_pod("ml-inference"),
        })  # fmt: skip
    finally:
        commands.forget("ml-inference")
        cluster.run(["kubectl", "delete", "--ignore-not-found", "-f", monitors], check=False)


def build_model_api():
    """`docker build` as the README has it, by buildah where there is no Docker; on the nodes as v1.0 and v1.1."""
    builder = "docker" if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0 else "buildah"
    line = next(command for command in written("model-api") if command.startswith("docker build"))
    cluster.run(line.replace("docker", builder, 1), cwd=FOLDER / "model-api")
    cluster.run([builder, "tag", "model-api:v1.0", "model-api:v1.1"])
    cluster.run("scripts/cluster.sh load model-api:v1.0 model-api:v1.1")


def model_api(context):
    """compat/model-api, typed: by manifests, updated and rolled back, then by Helm."""
    install, last = "helm install model-api ./helm/model-api -n ml-serving --create-namespace", "helm install model-api ./helm/model-api -f values-production.yaml"
    commands.forget("ml-serving")
    build_model_api()
    monitors = service_monitors()
    cluster.run(["kubectl", "apply", "--server-side", "-f", monitors])
    try:
        through("model-api", context, {
            "POD_NAME": lambda: first_pod("ml-serving"),
            last: f"{last} {commands.SMALL} --wait",
        }, {
            "kubectl get all -n ml-serving": commands.SMALLER,
            "k6 run tests/load-test.js": [lambda: commands.settled("ml-serving", "model-api")],
            install: ["kubectl delete -f kubernetes/"],
            last: ["kubectl create namespace ml-serving --dry-run=client -o yaml | kubectl apply -f -"],
        })  # fmt: skip
    finally:
        commands.forget("ml-serving")
        cluster.run(["kubectl", "delete", "--ignore-not-found", "-f", monitors], check=False)


def platform(context):
    """compat/platform, typed: `sh scripts/restart.sh`, and JSON through Envoy."""
    commands.forget("ml-platform")
    try:
        through("platform", context, {"sh scripts/restart.sh": "SKIP_IMAGE=1 sh scripts/restart.sh"})
    finally:
        commands.forget("ml-platform")


def simulator(context):
    """compat/simulator, typed: the Makefile's targets and scripts/load.py."""
    commands.forget("k8s-inference-sim")
    try:
        through("simulator", context, {"python scripts": "python3 scripts"})
    finally:
        commands.forget("k8s-inference-sim")


SCENARIOS = ((podsense, False), (eks, False), (model_api, False), (platform, False), (simulator, True))
