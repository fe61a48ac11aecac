"""Which series a panel is about: the variables of the dashboards, and selectors made of them.

Two releases, namespaces or clusters that one Prometheus sees neither double nor mask each other: `All` of
namespace, job and workload is all that PodSense runs in, not all there is.
"""

from grafana import choice, source_variable

RATE = "$__rate_interval"
CLUSTER = 'cluster=~"$cluster"'
PLACE = f'{CLUSTER},namespace=~"$namespace"'
SELECT = PLACE + ',job=~"$job"'
MODEL = SELECT + ',model=~"$model"'
# The Deployment's name, a hash and five letters, of Kubernetes' alphabet without vowels: neither the pods of
# NAME-canary nor those of a Job NAME-load.
LETTERS = "[bcdfghjklmnpqrstvwxz2456789]"
PODS = PLACE + f',pod=~"($workload)-{LETTERS}+-{LETTERS}{{5}}"'
CONTAINERS = PODS + ',container!="",container!="POD"'
DEPLOYMENT = PLACE + ',deployment=~"$workload"'
HPA = PLACE + ',horizontalpodautoscaler=~"(keda-hpa-)?($workload)"'
SERVER_FAULT = "INTERNAL|OVERLOADED|UNAVAILABLE|DEADLINE_EXCEEDED"
ALL_FAULT = f'code=~"OK|{SERVER_FAULT}"'

SOURCE = source_variable("datasource", "prometheus", "Data source")
# Empty where Prometheus gives no label `cluster`, as one for each cluster does.
CLUSTERS = choice("cluster", "label_values(podsense_build_info, cluster)", all_value=".*")
NAMESPACE = choice("namespace", f"label_values(podsense_build_info{{{CLUSTER}}}, namespace)")
JOB = choice("job", f"label_values(podsense_build_info{{{PLACE}}}, job)")
MODELS = choice("model", f"label_values(podsense_model_info{{{SELECT}}}, model)", all_value=".*")
WORKLOAD = choice("workload", f"label_values(podsense_build_info{{{SELECT}}}, pod)", part="(.+)-[^-]+-[^-]+")
