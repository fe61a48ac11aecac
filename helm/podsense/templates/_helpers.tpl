{{- define "podsense.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" }}
{{- end }}

{{- /* At most 53 characters, which leaves room for the suffixes. */}}
{{- define "podsense.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" }}
{{- else if contains (include "podsense.name" .) .Release.Name }}
{{- .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "podsense.name" .) | trunc 53 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "podsense.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- /* A value as text. Numbers from values files are floats, which templates print as 1e+06. */}}
{{- define "podsense.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else if not (kindIs "invalid" .) }}{{ toJson . }}{{ end }}
{{- end }}

{{- /* A map whose values Kubernetes wants to be texts: labels, annotations, environment. What is null is
     left out. */}}
{{- define "podsense.texts" -}}
{{- range $key, $value := . }}
{{- if not (kindIs "invalid" $value) }}
{{ $key | toJson }}: {{ include "podsense.text" $value | toJson }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The value of a label: 63 characters, and no `+` of a version. */}}
{{- define "podsense.labelValue" -}}
{{- regexReplaceAll "[^A-Za-z0-9_.-]" . "_" | trunc 63 | trimAll "-_." }}
{{- end }}

{{- /* [root, name, component, annotations, labels, namespace]; the last two may be left out.
     Without an override no namespace is written: Helm puts objects into the release's, and rendered
     manifests stay usable with `kubectl apply -n`. */}}
{{- define "podsense.metadata" -}}
{{- $root := index . 0 }}{{ $name := index . 1 }}{{ $component := index . 2 }}{{ $annotations := index . 3 }}
{{- $labels := dict }}{{ if gt (len .) 4 }}{{ $labels = index . 4 }}{{ end }}
{{- $namespace := "" }}{{ if gt (len .) 5 }}{{ $namespace = index . 5 }}{{ end -}}
name: {{ $name }}
{{- with default $root.Values.namespaceOverride $namespace }}
namespace: {{ . }}
{{- end }}
labels:
  {{- $own := dict "app.kubernetes.io/component" $component | merge (include "podsense.instanceLabels" $root | fromYaml) }}
  {{- include "podsense.texts" (merge $own (default (dict) $labels) (include "podsense.labels" $root | fromYaml)) | trim | nindent 2 }}
{{- with merge (dict) (default (dict) $annotations) $root.Values.commonAnnotations }}
annotations:
  {{- include "podsense.texts" . | trim | nindent 2 }}
{{- end }}
{{- end }}

{{- /* [root, selector, labels…]: labels of pods. The selector's are never replaced, and none is there twice. */}}
{{- define "podsense.podLabels" -}}
{{- $root := index . 0 }}
{{- $labels := merge (include (index . 1) $root | fromYaml) $root.Values.podLabels $root.Values.commonLabels }}
{{- if and (eq (index . 1) "podsense.selector") $root.Values.gateway.enabled ($root.Values.gateway.inferencePool).enabled }}
{{- $labels = merge $labels (dict "inference.networking.k8s.io/engine-type" "podsense") }}
{{- end }}
{{- include "podsense.texts" (merge $labels (dict "app.kubernetes.io/part-of" "podsense")) | trim }}
{{- end }}

{{- define "podsense.instanceLabels" -}}
app.kubernetes.io/name: {{ include "podsense.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- /* `commonLabels` may replace all but those that select pods. */}}
{{- define "podsense.labels" -}}
{{- include "podsense.instanceLabels" . }}
{{- $labels := dict "app.kubernetes.io/managed-by" .Release.Service "app.kubernetes.io/part-of" "podsense" }}
{{- with .Chart.AppVersion }}{{ $_ := set $labels "app.kubernetes.io/version" (include "podsense.labelValue" .) }}{{ end }}
{{- $_ := set $labels "helm.sh/chart" (include "podsense.labelValue" (printf "%s-%s" .Chart.Name .Chart.Version)) }}
{{- $common := omit .Values.commonLabels "app.kubernetes.io/name" "app.kubernetes.io/instance" }}
{{- include "podsense.texts" (merge (dict) $common $labels) }}
{{- end }}

{{- define "podsense.selector" -}}
{{- include "podsense.instanceLabels" . }}
app.kubernetes.io/component: server
{{- end }}

{{- define "podsense.envoySelector" -}}
{{- include "podsense.instanceLabels" . }}
app.kubernetes.io/component: envoy
{{- end }}

{{- define "podsense.serviceName" -}}
{{- default (include "podsense.fullname" .) .Values.service.name }}
{{- end }}

{{- /* The Service with the admin port: the server's own, unless that one is reached from outside. */}}
{{- define "podsense.metricsServiceName" -}}
{{- if or (eq .Values.service.type "ClusterIP") (not .Values.service.metricsPort) }}{{ include "podsense.serviceName" . }}
{{- else }}{{ include "podsense.fullname" . }}-metrics{{ end }}
{{- end }}

{{- define "podsense.headlessName" -}}
{{- default (printf "%s-headless" (include "podsense.fullname" .)) .Values.headlessService.name }}
{{- end }}

{{- define "podsense.envoyName" -}}
{{- default (printf "%s-envoy" (include "podsense.fullname" .)) .Values.envoy.name }}
{{- end }}

{{- /* The Service for clients outside of the chart, and its HTTP port. */}}
{{- define "podsense.frontName" -}}
{{- if eq (include "podsense.envoyMode" .) "deployment" }}{{ include "podsense.envoyName" . }}
{{- else }}{{ include "podsense.serviceName" . }}{{ end }}
{{- end }}

{{- define "podsense.frontPort" -}}
{{- if eq (include "podsense.envoyMode" .) "deployment" }}{{ .Values.envoy.servicePort }}
{{- else }}{{ .Values.service.port }}{{ end }}
{{- end }}

{{- define "podsense.envoyMode" -}}
{{- if .Values.envoy.enabled }}{{ .Values.envoy.mode }}{{ end }}
{{- end }}

{{- define "podsense.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "podsense.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* `global.imageRegistry` of a parent chart has priority, as in other charts. */}}
{{- define "podsense.registry" -}}
{{- $registry := .Values.image.registry }}
{{- with .Values.global }}{{ with .imageRegistry }}{{ $registry = . }}{{ end }}{{ end }}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end }}
{{- end }}

{{- define "podsense.image" -}}
{{- $repository := printf "%s%s" (include "podsense.registry" .) .Values.image.repository }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (include "podsense.tag" .) }}
{{- end }}
{{- end }}

{{- define "podsense.tag" -}}
{{- /* A tag has no `+`; Helm itself writes `_` for it. */}}
{{- default (replace "+" "_" .Chart.AppVersion) (include "podsense.text" .Values.image.tag) }}
{{- end }}

{{- /* Another image of this project: the server's registry and, by default, the server's tag. */}}
{{- define "podsense.siblingImage" -}}
{{- $root := index . 0 }}{{ $repository := index . 1 }}{{ $tag := index . 2 }}
{{- printf "%s%s:%s" (include "podsense.registry" $root) $repository (default (include "podsense.tag" $root) (include "podsense.text" $tag)) }}
{{- end }}

{{- define "podsense.secretName" -}}
{{- if .Values.secret.existingSecret }}{{ .Values.secret.existingSecret }}
{{- else if .Values.secret.create }}{{ include "podsense.fullname" . }}
{{- end }}
{{- end }}

{{- define "podsense.modelsPath" -}}
{{- default (ternary "/models" "/mnt/models" (eq .Values.models.source "image")) .Values.models.path }}
{{- end }}

{{- /* Names of the pods of Deployments, given as alternatives: Kubernetes appends a hash and five letters, of an
     alphabet without vowels, and cuts what is longer than 58 before the five. */}}
{{- define "podsense.podPattern" -}}
{{- $letters := "[bcdfghjklmnpqrstvwxz2456789]" }}{{ $long := 0 }}
{{- range splitList "|" . }}{{ $long = max $long (len .) }}{{ end }}
{{- printf "(%s)-%s+%s" . $letters (ternary (printf "(-%s{5})?" $letters) (printf "-%s{5}" $letters) (gt $long 46)) }}
{{- end }}

{{- /* Pods of this Deployment alone, each once, however many jobs scrape it. Where there are to be none,
     kube-state-metrics says so: no answer is an error, and the fallback would bring pods back. */}}
{{- define "podsense.saturationQuery" -}}
{{- $name := include "podsense.fullname" . }}{{ $namespace := include "podsense.namespace" . }}
{{- $query := printf "sum(max by (pod) (podsense_saturation{namespace=%q,pod=~%q}))" $namespace (include "podsense.podPattern" $name) }}
{{- if or (eq (int .Values.keda.minReplicas) 0) (not (kindIs "invalid" .Values.keda.idleReplicaCount)) }}
{{- $query = printf "%s or (max(kube_deployment_spec_replicas{namespace=%q,deployment=%q}) == 0)" $query $namespace $name }}
{{- end }}
{{- default $query .Values.keda.prometheus.query }}
{{- end }}

{{- /* Parts of the values that templates look into. With `--reuse-values` Helm takes those of the chart that is
     installed, in which what is new here is missing. templates/tests/ is rendered first, the deepest folder. */}}
{{- define "podsense.checkParts" -}}
{{- range list "namespace" "image" "ports" "secret" "tls" "models" "models.recipe" "models.pvc" "models.oci" "models.download" "modelCache" "serviceAccount" "rbac" "service" "headlessService" "loadBalancer" "probes" "probes.startup" "probes.liveness" "probes.readiness" "podAntiAffinity" "topologySpread" "autoscaling" "keda" "keda.prometheus" "verticalPodAutoscaler" "podDisruptionBudget" "networkPolicy" "networkPolicy.ingress" "networkPolicy.egress" "resourceQuota" "limitRange" "ingress" "ingress.nginx" "ingress.alb" "gateway" "metrics" "metrics.serviceMonitor" "metrics.podMonitor" "metrics.prometheusRule" "metrics.dashboards" "envoy" "envoy.image" "tests" }}
{{- $node := $.Values }}
{{- range splitList "." . }}{{ $node = get (kindIs "map" $node | ternary $node dict) . }}{{ end }}
{{- if not (kindIs "map" $node) }}
{{- fail (printf "the value %s is missing: after an upgrade with --reuse-values use --reset-then-reuse-values, which takes this chart's values and lays yours over them; do not set it to null" .) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Checks that values.schema.json cannot express. */}}
{{- define "podsense.validate" -}}
{{- $v := .Values }}
{{- if and $v.autoscaling.enabled $v.keda.enabled }}
{{- fail "autoscaling.enabled and keda.enabled: KEDA makes an HPA of its own; switch one off" }}
{{- end }}
{{- if and $v.gateway.enabled ($v.gateway.inferencePool).enabled (eq (include "podsense.envoyMode" .) "deployment") }}
{{- fail "gateway.inferencePool leads to the pods, past envoy.mode=deployment: switch one off, or use envoy.mode=sidecar" }}
{{- end }}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) }}
{{- fail (printf "autoscaling.minReplicas (%d) is above autoscaling.maxReplicas (%d)" (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) }}
{{- end }}
{{- if and $v.autoscaling.enabled (not (or $v.autoscaling.targetCPUUtilizationPercentage $v.autoscaling.targetMemoryUtilizationPercentage $v.autoscaling.targetSaturation $v.autoscaling.targetQueueDepth $v.autoscaling.extraMetrics)) }}
{{- fail "autoscaling: every target is null, and an HPA without metrics takes 80 % of CPU by itself; set a target, or autoscaling.enabled to false" }}
{{- end }}
{{- if and $v.autoscaling.enabled (eq (int $v.autoscaling.minReplicas) 0) (not $v.autoscaling.extraMetrics) }}
{{- fail "autoscaling.minReplicas is 0: an HPA on pods' own metrics keeps 1 or more; keda.enabled with keda.minReplicas 0 scales to none" }}
{{- end }}
{{- if and $v.keda.enabled (gt (int $v.keda.minReplicas) (int $v.keda.maxReplicas)) }}
{{- fail (printf "keda.minReplicas (%d) is above keda.maxReplicas (%d)" (int $v.keda.minReplicas) (int $v.keda.maxReplicas)) }}
{{- end }}
{{- if and $v.verticalPodAutoscaler.enabled (ne $v.verticalPodAutoscaler.updateMode "Off") $v.autoscaling.enabled }}
{{- if or (and $v.autoscaling.targetCPUUtilizationPercentage (has "cpu" $v.verticalPodAutoscaler.controlledResources)) (and $v.autoscaling.targetMemoryUtilizationPercentage (has "memory" $v.verticalPodAutoscaler.controlledResources)) }}
{{- fail "verticalPodAutoscaler.updateMode: the HPA scales on the same resource; use Off, or other controlledResources" }}
{{- end }}
{{- end }}
{{- if and $v.podDisruptionBudget.enabled (not (kindIs "invalid" $v.podDisruptionBudget.minAvailable)) (not (kindIs "invalid" $v.podDisruptionBudget.maxUnavailable)) }}
{{- fail "podDisruptionBudget: set minAvailable or maxUnavailable, and the other to null" }}
{{- end }}
{{- if and (eq $v.models.source "download") (not $v.models.download.files) }}
{{- fail "models.source is download, but models.download.files is empty" }}
{{- end }}
{{- if and (eq $v.models.source "oci") (not $v.models.oci.reference) }}
{{- fail "models.source is oci, but models.oci.reference is empty" }}
{{- end }}
{{- if and $v.secret.create $v.secret.existingSecret }}
{{- fail "secret.create and secret.existingSecret: set one" }}
{{- end }}
{{- if and $v.secret.asEnv (not (include "podsense.secretName" .)) }}
{{- fail "secret.asEnv needs secret.create or secret.existingSecret" }}
{{- end }}
{{- $drain := dig "shutdown" "drain_timeout" "25s" $v.config | toString }}
{{- if ge (int (include "podsense.seconds" $drain)) (int $v.terminationGracePeriodSeconds) }}
{{- fail (printf "config.shutdown.drain_timeout (%s) must be below terminationGracePeriodSeconds (%d), or requests are cut off" $drain (int $v.terminationGracePeriodSeconds)) }}
{{- end }}
{{- if or (dig "listen" "http_port" "" $v.config) (dig "listen" "grpc_port" "" $v.config) (dig "listen" "admin_port" "" $v.config) }}
{{- fail "config.listen: set ports by the values ports.http, ports.grpc and ports.admin" }}
{{- end }}
{{- if dig "models" "dir" "" $v.config }}
{{- fail "config.models.dir: set it by the value models.path" }}
{{- end }}
{{- if and $v.tls.clientCaSecretName (not $v.tls.secretName) }}
{{- fail "tls.clientCaSecretName needs tls.secretName" }}
{{- end }}
{{- if and $v.tls.secretName (has "grpc" (list $v.probes.type $v.probes.startup.type $v.probes.liveness.type $v.probes.readiness.type)) }}
{{- fail "tls.secretName and probes.type grpc: the kubelet's gRPC probes speak no TLS; use http or exec, which ask the admin port" }}
{{- end }}
{{- if and $v.tls.clientCaSecretName (eq $v.probes.port "http") (ne $v.probes.type "grpc") }}
{{- fail "tls.clientCaSecretName and probes.port http: probes show no certificate; use probes.port admin" }}
{{- end }}
{{- if and $v.tls.secretName $v.envoy.enabled }}
{{- fail "tls.secretName and envoy.enabled: Envoy reaches the servers in plain; give Envoy or the ingress the certificate" }}
{{- end }}
{{- with $v.config.tls }}
{{- fail "config.tls: set it by the values tls.secretName and tls.clientCaSecretName" }}
{{- end }}
{{- include "podsense.validatePorts" . }}
{{- include "podsense.validateKeys" . }}
{{- include "podsense.validateNames" . }}
{{- end }}

{{- /* Whole seconds of a duration as the server reads it: `40`, `90s`, `1m30s`; 0 for others. */}}
{{- define "podsense.seconds" -}}
{{- $total := 0 }}
{{- if regexMatch "^[0-9]+$" . }}
{{- $total = int . }}
{{- else if regexMatch "^([0-9]+(ms|s|m|h))+$" . }}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 }}
{{- $unit := get (dict "ms" 0 "s" 1 "m" 60 "h" 3600) (regexFind "[a-z]+" .) }}
{{- $total = add $total (mul (int (regexFind "[0-9]+" .)) $unit) }}
{{- end }}
{{- end }}
{{- $total }}
{{- end }}

{{- /* Dictionaries {name, port}: fails if two entries for the same pod or Service have the same port. */}}
{{- define "podsense.distinctPorts" -}}
{{- $taken := dict }}
{{- range . }}
{{- if not (kindIs "invalid" .port) }}
{{- $port := int .port | toString }}
{{- if hasKey $taken $port }}
{{- fail (printf "%s and %s are both %s: each needs a port of its own" (get $taken $port) .name $port) }}
{{- end }}
{{- $_ := set $taken $port .name }}
{{- end }}
{{- end }}
{{- end }}

{{- define "podsense.validatePorts" -}}
{{- $v := .Values }}
{{- $pod := list (dict "name" "ports.http" "port" $v.ports.http) (dict "name" "ports.grpc" "port" $v.ports.grpc) (dict "name" "ports.admin" "port" $v.ports.admin) }}
{{- $envoy := list (dict "name" "envoy.port" "port" $v.envoy.port) (dict "name" "envoy.statsPort" "port" $v.envoy.statsPort) (dict "name" "envoy.drainPort" "port" $v.envoy.drainPort) }}
{{- if eq (include "podsense.envoyMode" .) "sidecar" }}{{ $pod = concat $pod $envoy }}{{ end }}
{{- include "podsense.distinctPorts" $pod }}
{{- if $v.envoy.enabled }}{{ include "podsense.distinctPorts" $envoy }}{{ end }}
{{- include "podsense.distinctPorts" (list (dict "name" "service.port" "port" $v.service.port) (dict "name" "service.grpcPort" "port" $v.service.grpcPort) (dict "name" "service.metricsPort" "port" $v.service.metricsPort)) }}
{{- if and $v.service.nodePort (eq $v.service.type "ClusterIP") }}
{{- fail (printf "service.nodePort is %d, but service.type is ClusterIP: node ports need NodePort or LoadBalancer" (int $v.service.nodePort)) }}
{{- end }}
{{- end }}

{{- /* Names of Services must be DNS labels. */}}
{{- define "podsense.validateNames" -}}
{{- $v := .Values }}
{{- $names := dict "fullnameOverride" $v.fullnameOverride "service.name" $v.service.name "headlessService.name" $v.headlessService.name "loadBalancer.name" $v.loadBalancer.name "envoy.name" $v.envoy.name }}
{{- if not $v.fullnameOverride }}{{ $_ := set $names "the release's name (set fullnameOverride)" (include "podsense.fullname" .) }}{{ end }}
{{- range $place, $name := $names }}
{{- if and $name (not (regexMatch "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$" $name)) }}
{{- fail (printf "%s: %q cannot name a Service: begin with a letter, then letters, digits and -, 63 at most; no dots" $place $name) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Checks keys here, because Helm reports the wrong path if a schema's `propertyNames` refuses one. */}}
{{- define "podsense.validateKeys" -}}
{{- $v := .Values }}
{{- range $name, $_ := $v.configEnv }}
{{- if not (regexMatch "^[A-Za-z_][A-Za-z0-9_]*$" $name) }}
{{- fail (printf "configEnv: %q is no name of an environment variable: letters, digits and _" $name) }}
{{- end }}
{{- end }}
{{- range $name, $_ := $v.models.manifests }}
{{- if not (regexMatch "^[A-Za-z0-9_][A-Za-z0-9_.-]*$" $name) }}
{{- fail (printf "models.manifests: %q is no name of a model: letters, digits, _, . and -, not beginning with . or -" $name) }}
{{- end }}
{{- end }}
{{- range $place, $resources := dict "resources" $v.resources "envoy.resources" $v.envoy.resources "models.recipe.resources" $v.models.recipe.resources "models.download.resources" $v.models.download.resources }}
{{- range $kind := list "requests" "limits" }}
{{- range $name, $_ := get $resources $kind }}
{{- if not (regexMatch "^(cpu|memory|ephemeral-storage|hugepages-.+|.+/.+)$" $name) }}
{{- fail (printf "%s.%s: no resource is called %q: cpu, memory, ephemeral-storage, hugepages-… or a device such as nvidia.com/gpu" $place $kind $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
