{{- /* Where the values send the server, as URLs with a comma between: OTLP, keys, model sources, S3 and STS, proxies.
     Written in `config`, `configEnv`, `env` or `extraArgs`. */}}
{{- define "podsense.endpoints" -}}
{{- $v := .Values }}
{{- $urls := list (dig "tracing" "endpoint" "" $v.config) (dig "tracing" "traces_endpoint" "" $v.config) (dig "auth" "jwks" "" $v.config) $v.models.download.s3Endpoint }}
{{- $names := list "PODSENSE_OTLP_ENDPOINT" "OTEL_EXPORTER_OTLP_ENDPOINT" "PODSENSE_OTLP_TRACES_ENDPOINT" "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" "PODSENSE_AUTH_JWKS" "AWS_ENDPOINT_URL" "AWS_ENDPOINT_URL_S3" "AWS_ENDPOINT_URL_STS" "HTTP_PROXY" "HTTPS_PROXY" "http_proxy" "https_proxy" }}
{{- range $name, $value := $v.configEnv }}{{ if has $name $names }}{{ $urls = append $urls $value }}{{ end }}{{ end }}
{{- range $v.env }}{{ if has .name $names }}{{ $urls = append $urls (default "" .value) }}{{ end }}{{ end }}
{{- $before := "" }}
{{- range $v.extraArgs }}
{{- if has $before (list "--otlp-endpoint" "--otlp-traces-endpoint" "--auth-jwks") }}{{ $urls = append $urls . }}{{ end }}
{{- $urls = append $urls (regexFind "^--(otlp-endpoint|otlp-traces-endpoint|auth-jwks)=.*" . | regexFind "https?://.*") }}
{{- $before = . }}
{{- end }}
{{- if eq $v.models.source "download" }}
{{- range $v.models.download.files }}{{ $urls = append $urls (ternary "https://s3.amazonaws.com" .url (hasPrefix "s3://" .url)) }}{{ end }}
{{- end }}
{{- if hasKey $v.serviceAccount.annotations "eks.amazonaws.com/role-arn" }}{{ $urls = append $urls "https://sts.amazonaws.com" }}{{ end }}
{{- $found := list }}
{{- range $urls }}{{ $url := include "podsense.text" . }}{{ if regexMatch "^https?://" $url }}{{ $found = append $found $url }}{{ end }}{{ end }}
{{- uniq $found | join "," }}
{{- end }}

{{- /* One rule for each of them, as YAML. A name of the cluster leads to its namespace, an address to itself, any other
     name to public addresses and to the networks of `privateNetworks`. Ports are those of the URL, which for a
     Service in the cluster have to be its pods' too. */}}
{{- define "podsense.endpointRules" -}}
{{- $egress := .Values.networkPolicy.egress }}
{{- $seen := dict }}
{{- range splitList "," (include "podsense.endpoints" .) }}
{{- if . }}
{{- $url := urlParse . }}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) }}
{{- $host := regexReplaceAll ":[0-9]+$" $url.host "" | trimPrefix "[" | trimSuffix "]" }}
{{- $parts := splitList "." $host }}
{{- $to := list }}
{{- if regexMatch "^[0-9.]+$" $host }}{{ $to = list (dict "ipBlock" (dict "cidr" (printf "%s/32" $host))) }}
{{- else if contains ":" $host }}{{ $to = list (dict "ipBlock" (dict "cidr" (printf "%s/128" $host))) }}
{{- else if eq (len $parts) 1 }}{{ $to = list (dict "podSelector" dict) }}
{{- else }}
{{- $inside := has "svc" (slice $parts 2) }}
{{- if or $inside (eq (len $parts) 2) }}
{{- $to = list (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" (index $parts 1)))) }}
{{- end }}
{{- if not $inside }}
{{- $to = concat $to (include "podsense.publicBlocks" $ | fromYamlArray) }}
{{- range $egress.privateNetworks }}{{ $to = append $to (dict "ipBlock" (dict "cidr" .)) }}{{ end }}
{{- end }}
{{- end }}
{{- $key := printf "%s %s" (toJson $to) $port }}
{{- if and (ne $host "localhost") (not (hasPrefix "127." $host)) (ne $host "::1") (not (hasKey $seen $key)) }}
{{- $_ := set $seen $key true }}
{{ list (dict "ports" (list (dict "port" (int $port) "protocol" "TCP")) "to" $to) | toYaml }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "podsense.publicBlocks" -}}
- ipBlock:
    cidr: 0.0.0.0/0
    except:
      {{- toYaml .Values.networkPolicy.egress.fetchExcept | nindent 6 }}
- ipBlock:
    cidr: ::/0
    except:
      {{- toYaml .Values.networkPolicy.egress.fetchExcept6 | nindent 6 }}
{{- end }}

{{- /* [root, section and name in `config`, flag]: what a setting of the server has, as text; nothing where the values do
     not say. Flags win over variables, and variables over `config`, as in the server. */}}
{{- define "podsense.setting" -}}
{{- $v := (index . 0).Values }}{{ $flag := index . 2 }}
{{- $variable := printf "PODSENSE_%s" ($flag | upper | replace "-" "_") }}
{{- $parts := splitList "." (index . 1) }}
{{- $set := dig (first $parts) (last $parts) "" $v.config }}
{{- range $name, $value := $v.configEnv }}{{ if eq $name $variable }}{{ $set = $value }}{{ end }}{{ end }}
{{- range $v.env }}{{ if eq .name $variable }}{{ $set = default "" .value }}{{ end }}{{ end }}
{{- $before := "" }}
{{- range $v.extraArgs }}
{{- if eq $before (printf "--%s" $flag) }}{{ $set = . }}{{ end }}
{{- if hasPrefix (printf "--%s=" $flag) . }}{{ $set = trimPrefix (printf "--%s=" $flag) . }}{{ end }}
{{- $before = . }}
{{- end }}
{{- if kindIs "slice" $set }}{{ range $i, $one := $set }}{{ if $i }},{{ end }}{{ include "podsense.text" $one }}{{ end }}
{{- else }}{{ include "podsense.text" $set }}{{ end }}
{{- end }}

{{- /* Networks that the server may fetch from though they are private: `fetch.allow_cidrs`. */}}
{{- define "podsense.fetchNetworks" -}}
{{- range splitList "," (include "podsense.setting" (list . "fetch.allow_cidrs" "fetch-allow-cidrs")) }}{{ with trim . }}
- ipBlock: {cidr: {{ contains "/" . | ternary . (printf "%s/%s" . (contains ":" . | ternary "128" "32")) | quote }}}
{{- end }}{{ end }}
{{- end }}

{{- /* Ports that URLs may name: `fetch.ports`. */}}
{{- define "podsense.fetchPorts" -}}
{{- range splitList "," (include "podsense.setting" (list . "fetch.ports" "fetch-ports") | default "80,443") }}
- {port: {{ trim . | int }}, protocol: TCP}
{{- end }}
{{- end }}

{{- define "podsense.dnsEgress" -}}
{{- with .Values.networkPolicy.egress }}
{{- if .dns }}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  to:
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: kube-system}
      podSelector:
        matchLabels: {k8s-app: kube-dns}
    {{- with .nodeLocalDns }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
    {{- if or .gkeDns ($.Capabilities.APIVersions.Has "networking.gke.io/v1") }}
    - ipBlock: {cidr: 169.254.169.254/32}
    {{- end }}
# OpenShift's DNS, whose pods listen on another port.
- ports:
    - {port: 5353, protocol: UDP}
    - {port: 5353, protocol: TCP}
  to:
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: openshift-dns}
{{- end }}
{{- end }}
{{- end }}
