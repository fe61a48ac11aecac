{{- /* Where Envoy finds the servers: itself in a sidecar, else every pod behind the headless Service. */}}
{{- define "podsense.envoyUpstream" -}}
{{- if eq .Values.envoy.mode "sidecar" }}127.0.0.1{{ else }}{{ include "podsense.headlessName" . }}{{ end }}
{{- end }}

{{- /* [root, port]: where a listener of Envoy's is; `::` is IPv4 as well. */}}
{{- define "podsense.envoySocket" -}}
{{- $address := default "0.0.0.0" (index . 0).Values.envoy.address }}
{{- $compat := ternary ", ipv4_compat: true" "" (eq $address "::") }}
{{- printf "{address: %s, port_value: %d%s}" (contains ":" $address | ternary (quote $address) $address) (int (index . 1)) $compat }}
{{- end }}

{{- /* files/envoy.yaml is a configuration that runs as it is, beside one server. Here its places that a
     deployment changes get their values; a place that is not found is a fault of the chart. */}}
{{- define "podsense.envoyConfig" -}}
{{- if .Values.envoy.config }}
{{- tpl .Values.envoy.config . }}
{{- else }}
{{- $v := .Values }}
{{- $text := .Files.Get "files/envoy.yaml" }}
{{- $upstream := include "podsense.envoyUpstream" . }}
{{- $requests := int $v.envoy.maxRequests }}
{{- range list
  (list "{address: 0.0.0.0, port_value: 8081}" (include "podsense.envoySocket" (list $ $v.envoy.port)))
  (list "address: 127.0.0.1, port_value: 9000}" (printf "address: %s, port_value: %d}" $upstream (int $v.ports.grpc)))
  (list "address: 127.0.0.1, port_value: 8080}" (printf "address: %s, port_value: %d}" $upstream (int $v.ports.http)))
  (list "proto_descriptor: podsense.pb" (printf "proto_descriptor: %s" $v.envoy.descriptor))
  (list "timeout: 30s  # here" (printf "timeout: %s" $v.envoy.timeout))
  (list "grpc_timeout_header_max: 30s" (printf "grpc_timeout_header_max: %s" $v.envoy.timeout))
  (list "_body_size: 29360128" (printf "_body_size: %d" (int $v.envoy.maxBodyBytes)))
  (list "max_requests: 4096, max_pending_requests: 4096" (printf "max_requests: %d, max_pending_requests: %d" $requests $requests))
  (list "\n  clusters:\n" (printf "\n%s\n  clusters:\n" (include "podsense.envoyListeners" $)))
}}
{{- if not (contains (first .) $text) }}{{ fail (printf "files/envoy.yaml has no %q" (first .)) }}{{ end }}
{{- $text = replace (first .) (last .) $text }}
{{- end }}
{{- $text | replace "  # here" "" | trim }}
    - name: admin
      type: STATIC
      load_assignment:
        cluster_name: admin
        endpoints:
          - lb_endpoints:
              - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}
{{- end }}
{{- end }}

{{- /* Probes and scrapers reach these three paths, and nothing else of the admin port. The port of the
     preStop hook is a listener of its own, which the network policy opens to nobody but the node. */}}
{{- define "podsense.envoyListeners" }}
{{- $drain := int .Values.envoy.drainSeconds }}
{{- $sidecar := eq .Values.envoy.mode "sidecar" }}
    - name: stats
      address: {socket_address: {{ include "podsense.envoySocket" (list . .Values.envoy.statsPort) }}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: stats
                route_config:
                  virtual_hosts:
                    - name: stats
                      domains: ["*"]
                      routes:
                        - match: {path: /live}
                          direct_response: {status: 200, body: {inline_string: "live"}}
                        - match: {path: /ready}
                          route: {cluster: admin}
                        - match: {path: /stats/prometheus}
                          route: {cluster: admin}
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
    # Envoy ends at once on SIGTERM. Asked here first, it tells every client to take its connections
    # elsewhere (Connection: close, GOAWAY), goes on serving, and answers when the time is up. A sidecar
    # gets its SIGTERM only when the server has gone: by /leave it goes before, with connections that idle.
    - name: drain
      address: {socket_address: {{ include "podsense.envoySocket" (list . .Values.envoy.drainPort) }}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: drain
                route_config:
                  virtual_hosts:
                    - name: drain
                      domains: ["*"]
                      routes:
                        - match: {path: /drain}
                          direct_response: {status: 200, body: {inline_string: "drained"}}
                        {{- if $sidecar }}
                        - match: {path: /leave}
                          direct_response: {status: 200, body: {inline_string: "leaving"}}
                          typed_per_filter_config:
                            envoy.filters.http.fault:
                              "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
                              delay: {fixed_delay: {{ add1 $drain }}s, percentage: {numerator: 100, denominator: HUNDRED}}
                        {{- end }}
                http_filters:
                  - name: envoy.filters.http.lua
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
                      default_source_code:
                        inline_string: |
                          function envoy_on_request(request)
                            request:httpCall("admin", {[":method"] = "POST", [":path"] = "/healthcheck/fail",
                              [":authority"] = "admin"}, "", 1000)
                          end
                  - name: envoy.filters.http.fault
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
                      delay: {fixed_delay: {{ $drain }}s, percentage: {numerator: 100, denominator: HUNDRED}}
                  {{- if $sidecar }}
                  - name: leave
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
                      default_source_code:
                        inline_string: |
                          function envoy_on_request(request)
                            if request:headers():get(":path") == "/leave" then
                              request:httpCall("admin", {[":method"] = "POST", [":path"] = "/quitquitquit",
                                [":authority"] = "admin"}, "", 1000, true)
                            end
                          end
                  {{- end }}
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
{{- end }}

{{- define "podsense.envoyContainer" -}}
{{- $sidecar := eq .Values.envoy.mode "sidecar" -}}
- name: envoy
  image: {{ include "podsense.siblingImage" (list . .Values.envoy.image.repository .Values.envoy.image.tag) }}
  imagePullPolicy: {{ .Values.envoy.image.pullPolicy }}
  {{- if $sidecar }}
  restartPolicy: Always
  {{- end }}
  args: [-c, /etc/podsense-envoy/envoy.yaml, --log-level, warning, --concurrency, "2", --disable-hot-restart]
  ports:
    - name: {{ ternary "envoy" "http" $sidecar }}
      containerPort: {{ .Values.envoy.port }}
    - name: {{ ternary "envoy-stats" "stats" $sidecar }}
      containerPort: {{ .Values.envoy.statsPort }}
  {{- if or $sidecar .Values.envoy.config }}
  startupProbe:
    httpGet: {path: /ready, port: {{ .Values.envoy.statsPort }}}
    periodSeconds: 1
    failureThreshold: 60
  {{- else }}
  # Checks the whole path, JSON to gRPC and back: an Envoy that has found no server yet gets no requests.
  startupProbe:
    httpGet: {path: /v1/health, port: {{ .Values.envoy.port }}}
    periodSeconds: 1
    timeoutSeconds: 3
    failureThreshold: 300
  {{- end }}
  livenessProbe:
    httpGet: {path: /live, port: {{ .Values.envoy.statsPort }}}
    periodSeconds: 10
    timeoutSeconds: 5
  readinessProbe:
    httpGet: {path: /ready, port: {{ .Values.envoy.statsPort }}}
    periodSeconds: 5
    timeoutSeconds: 3
  lifecycle:
    preStop:
      {{- if .Values.envoy.config }}
      sleep: {seconds: {{ .Values.envoy.drainSeconds }}}
      {{- else }}
      httpGet: {path: {{ ternary "/leave" "/drain" $sidecar }}, port: {{ .Values.envoy.drainPort }}}
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
