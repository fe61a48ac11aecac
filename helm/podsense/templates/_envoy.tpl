{{- /* Where Envoy finds the servers: itself in a sidecar, else every pod behind the headless Service. */}}
{{- define "podsense.envoyUpstream" -}}
{{- if eq .Values.envoy.mode "sidecar" }}127.0.0.1{{ else }}{{ include "podsense.headlessName" . }}{{ end }}
{{- end }}

{{- define "podsense.envoyConfig" -}}
{{- if .Values.envoy.config }}
{{- tpl .Values.envoy.config . }}
{{- else }}
{{- tpl (.Files.Get "files/envoy.yaml") . }}
{{- end }}
{{- end }}

{{- define "podsense.envoyContainer" -}}
{{- $sidecar := eq .Values.envoy.mode "sidecar" -}}
- name: envoy
  image: {{ include "podsense.siblingImage" (list . .Values.envoy.image.repository .Values.envoy.image.tag) }}
  imagePullPolicy: {{ .Values.envoy.image.pullPolicy }}
  {{- if $sidecar }}
  restartPolicy: Always
  {{- end }}
  args: [-c, /etc/podsense-envoy/envoy.yaml, --log-level, warning, --concurrency, "2"]
  ports:
    - name: {{ ternary "envoy" "http" $sidecar }}
      containerPort: {{ .Values.envoy.port }}
    - name: {{ ternary "envoy-stats" "stats" $sidecar }}
      containerPort: {{ .Values.envoy.statsPort }}
  startupProbe:
    httpGet: {path: /ready, port: {{ .Values.envoy.statsPort }}}
    periodSeconds: 1
    failureThreshold: 60
  livenessProbe:
    httpGet: {path: /live, port: {{ .Values.envoy.statsPort }}}
    periodSeconds: 10
    timeoutSeconds: 5
  readinessProbe:
    httpGet: {path: /ready, port: {{ .Values.envoy.statsPort }}}
    periodSeconds: 5
    timeoutSeconds: 3
  {{- if not $sidecar }}
  # Envoy ends at once on SIGTERM: meanwhile endpoints are updated everywhere.
  lifecycle:
    preStop:
      sleep: {seconds: {{ .Values.envoy.drainSeconds }}}
  {{- end }}
  resources:
    {{- toYaml .Values.envoy.resources | nindent 4 }}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  volumeMounts:
    - name: envoy-config
      mountPath: /etc/podsense-envoy
      readOnly: true
{{- end }}
