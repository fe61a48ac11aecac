"""docs/reference/commands.md, typed: every command of the right column that a cluster alone can answer, in its order."""

import re

import cluster
import ingress
from typed import Shell

PAGE = cluster.ROOT / "docs/reference/commands.md"
# The presets want more processors than a test's node has; the commands are the same.
SMALL = "--set resources.requests.cpu=50m,resources.requests.memory=128Mi"
SMALLER = ("kubectl -n ml-serving set resources deployment/model-api --requests=cpu=50m,memory=128Mi",
           "kubectl -n ml-serving rollout status deployment/model-api")  # fmt: skip


def section(title):
    """The commands of the right column below a heading, in their order."""
    text = PAGE.read_text("utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if len(cells) == 5 and "`" in cells[2]:
            yield from re.findall(r"`([^`]+)`", cells[2])


def through(title, shell, context):
    with shell:
        for command in section(title):
            shell.type(command)
        shell.report(context.figures, f"commands.md, {title}")


def settled(namespace, deployment):
    """Until the pods of an update are there and those before are gone: a tunnel to one of these would end with it."""
    cluster.wait_rollout(namespace, deployment)
    cluster.wait_ready(namespace, cluster.get(f"deployment {deployment}", namespace)["spec"]["replicas"])


def forget(*namespaces):
    for name in namespaces:
        cluster.remove_namespace(name)


def image_classification(context):
    """The table of commands, typed: image classification on kind and EKS."""
    shell = Shell(
        values={
            "http://NODE:INGRESS_PORT": lambda: f"{cluster.node_url()}:{ingress.PORT}",
            "http://NODE:30001": lambda: f"{cluster.node_url()}:{cluster.NODE_PORT}",
            "--disable-keepalive": "--disable-keepalive --i-may-load-this-host",
            "scripts/cleanup.sh": "scripts/cleanup.sh --yes",
        },
        before={
            "helm install podsense helm/podsense -n podsense --create-namespace -f helm/podsense/values-nodeport.yaml":
                ["kubectl delete -f k8s/deployment.yaml -n podsense"],
            "helm install podsense helm/podsense -n podsense": ["helm uninstall podsense -n podsense --wait"],
        },  # fmt: skip
    )
    forget("podsense", "ingress")
    try:
        with ingress.controller():
            through("Image classification on kind and EKS", shell, context)
    finally:
        forget("podsense", "ingress")


def node_port_of(namespace, service):
    """Where a Service of type LoadBalancer answers while no cloud has given it an address."""
    return f"{cluster.node_url()}:{cluster.get(f'service {service}', namespace)['spec']['ports'][0]['nodePort']}"


def production_on_eks(context):
    """The table of commands, typed: the production service, on any cluster."""
    shell = Shell(values={"http://LB": lambda: node_port_of("ml-inference", "ml-inference-lb")})
    forget("ml-inference")
    try:
        through("Production service on EKS", shell, context)
    finally:
        forget("ml-inference")


def model_api(context):
    """The table of commands, typed: the model API, installed by kustomize and by Helm, updated and rolled back."""
    install = "helm install model-api helm/podsense -n ml-serving --create-namespace -f helm/podsense/values-model-api.yaml"
    production = f"{install} -f helm/podsense/values-production.yaml"
    quick = "-f helm/podsense/values-quick-probes.yaml"  # the first updates are with the preset's own probes, this one without
    shell = Shell(
        values={production: f"{production} {quick} {SMALL} --wait", "podsense:NEXT": "k8s-inference-sim:local",
                # The rest takes as long as an HPA waits before it goes down; autoscaling.py tries that.
                "-n ml-serving --all": "-n ml-serving"},
        before={
            "kubectl describe deployment/model-api -n ml-serving": SMALLER,
            install: ["kubectl delete -k k8s/overlays/model-api"],
            "k6 run tests/load-test.js": [lambda: settled("ml-serving", "model-api")],
        },
    )
    forget("ml-serving")
    try:
        with ingress.controller():
            through("Model API with HPA", shell, context)
    finally:
        forget("ml-serving")


def platform(context):
    """The table of commands, typed: the platform with Envoy, from `sh scripts/restart.sh` to an answer."""
    shell = Shell(values={"sh scripts/restart.sh": "SKIP_IMAGE=1 sh scripts/restart.sh"})
    forget("ml-platform")
    try:
        through("Platform with Envoy", shell, context)
    finally:
        forget("ml-platform")


def simulator(context):
    """The table of commands, typed: the inference simulator."""
    forget("k8s-inference-sim")
    try:
        through("Inference simulator", Shell(), context)
    finally:
        forget("k8s-inference-sim")


SCENARIOS = ((image_classification, False), (production_on_eks, False), (model_api, False), (platform, False), (simulator, False))
