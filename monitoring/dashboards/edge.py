"""The dashboard of what is in front of PodSense: Envoy, ingress controllers, gateways."""

from grafana import dashboard, lines, query
from scope import CLUSTER, CLUSTERS, NAMESPACE, PLACE, RATE, SOURCE

ENVOY = f'envoy_cluster_name=~"podsense.*",{PLACE}'
MANAGER = f'envoy_http_conn_manager_prefix=~"http",{PLACE}'
NGINX = f'{CLUSTER},exported_namespace=~"$namespace"'
# Traefik has no label of the namespace: it begins a service's name. Its provider ends it.
TRAEFIK = f'{CLUSTER},service=~"($namespace)-.+@kubernetes(ingressnginx|crd)?"'
TRAEFIK_ROUTES = f'{CLUSTER},service=~"($namespace)-.+@kubernetesgateway"'
ENVOY_ROUTES = f'{CLUSTER},envoy_cluster_name=~"(http|grpc)route/($namespace)/.+"'
QUANTILES = ((0.5, "50"), (0.9, "90"), (0.99, "99"))


def quantiles(series, selector, legend=""):
    """`legend`: which of several sources it is."""
    return [
        query(f"histogram_quantile({q}, sum by (le) (rate({series}_bucket{{{selector}}}[{RATE}])))", f"{legend}p{name}")
        for q, name in QUANTILES
    ]


def by(label, series, selector, legend):
    return query(f"sum by ({label}) (rate({series}{{{selector}}}[{RATE}]))", legend)


def envoy():
    total = [
        query(f"sum(rate(envoy_cluster_upstream_{name}{{{ENVOY}}}[{RATE}]))", legend)
        for name, legend in (
            ("cx_connect_fail", "connection failed"),
            ("rq_timeout", "timed out"),
            ("rq_pending_overflow", "no room"),
            ("rq_retry", "retried"),
        )
    ]
    code = "envoy_response_code_class"
    return [
        "Envoy of this chart",
        (8, [
            (lines("Requests by response class", [
                by(code, "envoy_cluster_upstream_rq_xx", ENVOY, f"{{{{{code}}}}}xx")], "reqps", stack=True), 8),
            (lines("Time until PodSense answered", quantiles("envoy_cluster_upstream_rq_time", ENVOY), "ms"), 8),
            (lines("Healthy hosts", [
                query(f"sum(envoy_cluster_membership_healthy{{{ENVOY}}})", "healthy"),
                query(f"sum(envoy_cluster_membership_total{{{ENVOY}}})", "all")]), 8),
        ]),
        (8, [
            (lines("Failures", total, "ops"), 8),
            (lines("Requests under way", [
                query(f"sum(envoy_cluster_upstream_rq_active{{{ENVOY}}})", "to PodSense"),
                query(f"sum(envoy_http_downstream_rq_active{{{MANAGER}}})", "from clients")]), 8),
            (lines("What clients saw", [
                by(code, "envoy_http_downstream_rq_xx", MANAGER, f"{{{{{code}}}}}xx")], "reqps", stack=True), 8),
        ]),
    ]  # fmt: skip


def ingress():
    return [
        "ingress-nginx",
        (8, [
            (lines("ingress-nginx: requests by status", [
                by("status", "nginx_ingress_controller_requests", NGINX, "{{status}}")], "reqps", stack=True), 12),
            (lines("ingress-nginx: latency",
                   quantiles("nginx_ingress_controller_request_duration_seconds", NGINX), "s"), 12),
        ]),
        "Traefik",
        (8, [
            (lines("Traefik: requests by status", [
                by("code", "traefik_service_requests_total", TRAEFIK, "{{code}}")], "reqps",
                "Ingresses, also those of class nginx, and IngressRoutes.", stack=True), 12),
            (lines("Traefik: latency", quantiles("traefik_service_request_duration_seconds", TRAEFIK), "s"), 12),
        ]),
    ]  # fmt: skip


def gateway():
    requests = [
        by("code", "traefik_service_requests_total", TRAEFIK_ROUTES, "Traefik {{code}}"),
        by("envoy_response_code_class", "envoy_cluster_upstream_rq_xx", ENVOY_ROUTES,
           "Envoy Gateway {{envoy_response_code_class}}xx"),
    ]  # fmt: skip
    milliseconds = quantiles("envoy_cluster_upstream_rq_time", ENVOY_ROUTES, "Envoy Gateway ")
    latency = [
        *quantiles("traefik_service_request_duration_seconds", TRAEFIK_ROUTES, "Traefik "),
        *[{**one, "expr": f"{one['expr']} / 1000"} for one in milliseconds],
    ]
    return [
        "Gateway API",
        (8, [
            (lines("Routes: requests by status", requests, "reqps",
                   "HTTPRoutes and GRPCRoutes of this namespace.", stack=True, any_of=True), 12),
            (lines("Routes: latency", latency, "s", any_of=True), 12),
        ]),
    ]  # fmt: skip


def certificates():
    days = f"min by (name) (certmanager_certificate_expiration_timestamp_seconds{{{NGINX}}} - time())"
    own = f"min by (pod) (podsense_tls_certificate_expiry_timestamp_seconds{{{PLACE}}} - time())"
    nginx = f"min by (host) (nginx_ingress_controller_ssl_expire_time_seconds{{{CLUSTER}}} - time())"
    return [
        "Certificates",
        (8, [(lines("Certificates expire in", [
            query(days, "{{name}}"), query(nginx, "{{host}}"), query(own, "{{pod}}, its own")], "s", any_of=True), 24)]),
    ]  # fmt: skip


def edge():
    return dashboard(
        "edge",
        "Envoy and ingress",
        "Requests to PodSense through Envoy, ingress controllers and gateways, and their answers.",
        [SOURCE, CLUSTERS, NAMESPACE],
        [*envoy(), *ingress(), *gateway(), *certificates()],
    )
