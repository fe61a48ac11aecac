{{- define "podsense.probe" -}}
{{- $root := index . 0 }}{{ $p := index . 1 -}}
{{- $port := index $root.Values.ports $root.Values.probes.port -}}
{{- $type := default $root.Values.probes.type $p.type -}}
{{- if eq $type "grpc" }}
grpc:
  port: {{ $root.Values.ports.grpc }}
{{- else if eq $type "exec" }}
exec:
  {{- if and $root.Values.tls.secretName (eq $root.Values.probes.port "http") }}
  command: [/usr/bin/podsense, check, --insecure, "https://127.0.0.1:{{ $port }}{{ $p.path }}"]
  {{- else }}
  command: [/usr/bin/podsense, check, "http://127.0.0.1:{{ $port }}{{ $p.path }}"]
  {{- end }}
{{- else }}
httpGet:
  path: {{ $p.path }}
  port: {{ $root.Values.probes.port }}
  {{- if and $root.Values.tls.secretName (eq $root.Values.probes.port "http") }}
  scheme: HTTPS
  {{- end }}
{{- end }}
{{- range $key, $value := omit $p "enabled" "path" "type" }}
{{ $key }}: {{ int $value }}
{{- end }}
{{- end }}

{{- define "podsense.probes" -}}
{{- $root := . }}
{{- range $name := list "startup" "liveness" "readiness" }}
{{- $p := index $root.Values.probes $name }}
{{- if $p.enabled }}
{{ $name }}Probe:
  {{- include "podsense.probe" (list $root $p) | trim | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "podsense.args" -}}
- serve
- --models={{ include "podsense.modelsPath" . }}
- --http-port={{ .Values.ports.http }}
- --admin-port={{ .Values.ports.admin }}
{{- if ne (int .Values.ports.grpc) 9000 }}
- --grpc-port={{ .Values.ports.grpc }}
{{- end }}
{{- if .Values.modelCache.enabled }}
- --model-cache=/var/cache/podsense
{{- end }}
{{- if .Values.tls.secretName }}
- --tls-cert=/etc/podsense/tls/tls.crt
- --tls-key=/etc/podsense/tls/tls.key
{{- end }}
{{- if .Values.tls.clientCaSecretName }}
- --tls-client-ca=/etc/podsense/tls-client-ca/ca.crt
{{- end }}
{{- /* Kubernetes takes a pod that ends out of its Services by itself; where it is the only one, it still sends there what
     comes, as long as the pod is ready. */}}
{{- $named := contains "ready-while-draining" (join " " .Values.extraArgs) }}
{{- if not (or $named (include "podsense.setting" (list . "shutdown.ready_while_draining" "ready-while-draining"))) }}
- --ready-while-draining
{{- end }}
{{- if .Values.config }}
- --config=/etc/podsense/podsense.yaml
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Of the server, and of the test that reads its configuration. */}}
{{- define "podsense.environment" -}}
{{- if or .Values.configEnv .Values.envFrom .Values.secret.asEnv }}
envFrom:
  {{- if .Values.configEnv }}
  - configMapRef:
      name: {{ include "podsense.fullname" . }}
  {{- end }}
  {{- if .Values.secret.asEnv }}
  - secretRef:
      name: {{ include "podsense.secretName" . }}
  {{- end }}
  {{- with .Values.envFrom }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- with .Values.env }}
env:
  {{- range . }}
  {{- if hasKey . "value" }}
  - name: {{ .name }}
    value: {{ include "podsense.text" .value | quote }}
  {{- else }}
  {{- list . | toYaml | nindent 2 }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "podsense.mounts" -}}
{{- if .Values.config }}
- name: config
  mountPath: /etc/podsense/podsense.yaml
  subPath: podsense.yaml
  readOnly: true
{{- end }}
{{- if and .Values.secret.mountPath (include "podsense.secretName" .) }}
- name: secret
  mountPath: {{ .Values.secret.mountPath }}
  readOnly: true
{{- end }}
{{- if .Values.tls.secretName }}
- name: tls
  mountPath: /etc/podsense/tls
  readOnly: true
{{- end }}
{{- if .Values.tls.clientCaSecretName }}
- name: tls-client-ca
  mountPath: /etc/podsense/tls-client-ca
  readOnly: true
{{- end }}
{{- if not (has .Values.models.source (list "image" "none")) }}
- name: models
  mountPath: {{ include "podsense.modelsPath" . }}
  readOnly: true
  {{- $subPath := dict "pvc" .Values.models.pvc.subPath "oci" .Values.models.oci.subPath }}
  {{- with get $subPath .Values.models.source }}
  subPath: {{ . }}
  {{- end }}
{{- end }}
{{- if .Values.modelCache.enabled }}
- name: model-cache
  mountPath: /var/cache/podsense
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "podsense.volumes" -}}
{{- if .Values.config }}
- name: config
  configMap:
    name: {{ include "podsense.fullname" . }}-config
{{- end }}
{{- if and .Values.secret.mountPath (include "podsense.secretName" .) }}
- name: secret
  secret:
    secretName: {{ include "podsense.secretName" . }}
    defaultMode: 0440
{{- end }}
{{- with .Values.tls.secretName }}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
{{- end }}
{{- with .Values.tls.clientCaSecretName }}
- name: tls-client-ca
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - {key: ca.crt, path: ca.crt}
{{- end }}
{{- if eq .Values.models.source "pvc" }}
- name: models
  persistentVolumeClaim:
    claimName: {{ default (printf "%s-models" (include "podsense.fullname" .)) .Values.models.pvc.existingClaim }}
    readOnly: true
{{- else if eq .Values.models.source "oci" }}
- name: models
  image:
    reference: {{ .Values.models.oci.reference }}
    pullPolicy: {{ .Values.models.oci.pullPolicy }}
{{- else if has .Values.models.source (list "recipe" "download") }}
- name: models
  emptyDir:
    sizeLimit: {{ .Values.models.sizeLimit }}
- name: models-work
  emptyDir:
    sizeLimit: 256Mi
{{- if .Values.models.manifests }}
- name: manifests
  configMap:
    name: {{ include "podsense.fullname" . }}-manifests
{{- end }}
{{- end }}
{{- if .Values.modelCache.enabled }}
- name: model-cache
  emptyDir:
    sizeLimit: {{ .Values.modelCache.sizeLimit }}
{{- end }}
{{- if eq (include "podsense.envoyMode" .) "sidecar" }}
- name: envoy-config
  configMap:
    name: {{ include "podsense.envoyName" . }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "podsense.affinity" -}}
{{- if not (kindIs "invalid" .Values.affinity) }}
{{- toYaml .Values.affinity }}
{{- else if eq .Values.podAntiAffinity.mode "preferred" }}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: {{ .Values.podAntiAffinity.topologyKey }}
        labelSelector:
          matchLabels:
            {{- include "podsense.selector" . | nindent 12 }}
{{- else if eq .Values.podAntiAffinity.mode "required" }}
podAntiAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: {{ .Values.podAntiAffinity.topologyKey }}
      labelSelector:
        matchLabels:
          {{- include "podsense.selector" . | nindent 10 }}
{{- end }}
{{- end }}

{{- /* Scheduling settings of all pods of the chart. */}}
{{- define "podsense.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- include "podsense.texts" . | trim | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- include "podsense.pullSecrets" . }}
{{- end }}

{{- /* Those of the chart that has this one as a part come first; there they may be plain names. */}}
{{- define "podsense.pullSecrets" -}}
{{- $names := list }}
{{- with .Values.global }}{{ $names = concat $names (default (list) .imagePullSecrets) }}{{ end }}
{{- $names = concat $names .Values.imagePullSecrets }}
{{- $seen := list }}
{{- range $names }}{{ $seen = append $seen (kindIs "string" . | ternary . (get (kindIs "map" . | ternary . dict) "name")) }}{{ end }}
{{- with uniq $seen }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "podsense.podAnnotations" -}}
{{- $v := .Values }}
{{- $own := dict "kubectl.kubernetes.io/default-container" $v.containerName }}
{{- range $name, $content := dict "config" $v.config "env" $v.configEnv "manifests" $v.models.manifests "secret" (ternary $v.secret.data dict $v.secret.create) }}
{{- if $content }}{{ $_ := set $own (printf "checksum/%s" $name) (toYaml $content | sha256sum) }}{{ end }}
{{- end }}
{{- if eq (include "podsense.envoyMode" .) "sidecar" }}
{{- $_ := set $own "checksum/envoy" (include "podsense.envoyConfig" . | sha256sum) }}
{{- end }}
{{- if $v.metrics.podAnnotations }}
{{- $own = merge $own (dict "prometheus.io/scrape" "true" "prometheus.io/port" $v.ports.admin "prometheus.io/path" "/metrics") }}
{{- end }}
{{- include "podsense.texts" (merge (dict) $v.podAnnotations $own $v.commonAnnotations) }}
{{- end }}

{{- /* Settings of the server's pods, except scheduling. */}}
{{- define "podsense.podSettings" -}}
{{- with .Values.schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- if not (kindIs "invalid" .Values.hostUsers) }}
hostUsers: {{ .Values.hostUsers }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* `replicas` where no autoscaler decides. Where one is switched on, the number that is there stays in
     the manifest from then on: without it Kubernetes would take 1 until the autoscaler looks. */}}
{{- define "podsense.replicas" -}}
{{- $v := .Values }}
{{- if not (or $v.autoscaling.enabled $v.keda.enabled) }}
{{- int $v.replicaCount }}
{{- else }}
{{- $name := include "podsense.fullname" . }}{{ $namespace := include "podsense.namespace" . }}
{{- with lookup "apps/v1" "Deployment" $namespace $name }}
{{- $scaled := false }}
{{- if $v.autoscaling.enabled }}
{{- $scaled = not (empty (lookup "autoscaling/v2" "HorizontalPodAutoscaler" $namespace (default $name $v.autoscaling.name))) }}
{{- else if $.Capabilities.APIVersions.Has "keda.sh/v1alpha1" }}
{{- $scaled = not (empty (lookup "keda.sh/v1alpha1" "ScaledObject" $namespace $name)) }}
{{- end }}
{{- if or (not $scaled) (hasKey (default dict .metadata.annotations) "podsense/replicas") }}{{ int .spec.replicas }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "podsense.spread" -}}
{{- if .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range .Values.topologySpreadConstraints }}
  {{- if hasKey . "labelSelector" }}
  {{- list . | toYaml | nindent 2 }}
  {{- else }}
  {{- list (merge (dict "labelSelector" (dict "matchLabels" (include "podsense.selector" $ | fromYaml))) .) | toYaml | nindent 2 }}
  {{- end }}
  {{- end }}
{{- else }}
{{- include "podsense.zoneSpread" . }}
{{- end }}
{{- end }}

{{- define "podsense.zoneSpread" -}}
{{- with .Values.topologySpread }}
{{- if .enabled }}
topologySpreadConstraints:
  - topologyKey: {{ .topologyKey }}
    maxSkew: {{ .maxSkew }}
    whenUnsatisfiable: {{ .whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "podsense.selector" $ | nindent 8 }}
{{- end }}
{{- end }}
{{- end }}
