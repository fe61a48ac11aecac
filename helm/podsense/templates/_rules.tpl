{{- /* The rules of files/rules as the values want them: tuned, and for this release alone. */}}
{{- define "podsense.ruleGroups" -}}
{{- $wanted := .Values.metrics.prometheusRule }}
{{- $groups := list }}
{{- $alerts := dict }}
{{- range $path, $_ := .Files.Glob "files/rules/*.yaml" }}
{{- range ($.Files.Get $path | fromYaml).groups }}
{{- $rules := list }}
{{- range .rules }}
{{- $rule := . }}
{{- $tuned := dict }}
{{- with .alert }}
{{- $_ := set $alerts . true }}
{{- $tuned = default dict (get (default dict $wanted.rules) .) }}
{{- $rule = include "podsense.tunedRule" (list $rule $tuned) | fromYaml }}
{{- end }}
{{- if ne (default "release" $wanted.scope) "all" }}{{ $_ := set $rule "expr" (include "podsense.scoped" (list $ $rule.expr)) }}{{ end }}
{{- if ne (toString $tuned.enabled) "false" }}{{ $rules = append $rules $rule }}{{ end }}
{{- end }}
{{- if $rules }}{{ $groups = append $groups (dict "name" .name "rules" $rules) }}{{ end }}
{{- end }}
{{- end }}
{{- range $name, $_ := $wanted.rules }}
{{- if not (hasKey $alerts $name) }}{{ fail (printf "metrics.prometheusRule.rules: there is no alert %q; there are: %s" $name (keys $alerts | sortAlpha | join ", ")) }}{{ end }}
{{- end }}
{{- with concat $groups $wanted.extraGroups }}{{ toYaml . }}{{ else }}{{ fail "metrics.prometheusRule: the chart holds no rules, and extraGroups is empty" }}{{ end }}
{{- end }}

{{- /* What an alert's threshold looks like in its expression. A place that is not found is a fault of the chart. */}}
{{- define "podsense.thresholds" -}}
PodSenseErrorBudgetBurn: ">= 10"
PodSenseLatencyBudgetBurn: ">= 10"
PodSenseNearMemoryLimit: "> 0.9"
PodSenseThrottled: "> 0.25"
PodSenseSaturated: "> 1"
PodSenseDescriptorsLow: "> 0.8"
PodSenseConnectionsRefused: "> 0.1"
PodSenseCertificateExpiring: "< 14"
PodSenseEnvoyUpstreamFailing: "> 0.05"
{{- end }}

{{- /* [rule, tuning] → the rule. */}}
{{- define "podsense.tunedRule" -}}
{{- $rule := index . 0 }}{{ $tuned := index . 1 }}
{{- with $tuned.for }}{{ $_ := set $rule "for" . }}{{ end }}
{{- with $tuned.keepFiringFor }}{{ $_ := set $rule "keep_firing_for" . }}{{ end }}
{{- with $tuned.severity }}{{ $_ := set $rule.labels "severity" . }}{{ end }}
{{- with $tuned.labels }}{{ $_ := set $rule "labels" (merge (include "podsense.texts" . | fromYaml) $rule.labels) }}{{ end }}
{{- with $tuned.annotations }}{{ $_ := set $rule "annotations" (merge (include "podsense.texts" . | fromYaml) $rule.annotations) }}{{ end }}
{{- if not (kindIs "invalid" $tuned.threshold) }}
{{- $place := get (include "podsense.thresholds" . | fromYaml) $rule.alert }}
{{- if not $place }}{{ fail (printf "metrics.prometheusRule.rules.%s: it has no threshold" $rule.alert) }}{{ end }}
{{- if not (contains $place $rule.expr) }}{{ fail (printf "files/rules: %s has no %q" $rule.alert $place) }}{{ end }}
{{- $operator := splitList " " $place | first }}
{{- $_ := set $rule "expr" (replace $place (printf "%s %s" $operator (include "podsense.text" $tuned.threshold)) $rule.expr) }}
{{- end }}
{{- toYaml $rule }}
{{- end }}

{{- /* [root, expression]: every series of it is this release's, so that two releases neither double nor mask each
     other. `job` is known where this chart makes the monitor, or says so. */}}
{{- define "podsense.scoped" -}}
{{- $root := index . 0 }}{{ $expr := printf "%s " (index . 1) }}
{{- $here := printf "namespace=%q" (include "podsense.namespace" $root) }}
{{- $ours := $here }}
{{- if or $root.Values.metrics.job $root.Values.metrics.podMonitor.enabled (include "podsense.serviceMonitor" $root) }}
{{- $ours = printf "%s,job=%q" $here (include "podsense.job" $root) }}
{{- end }}
{{- $expr = regexReplaceAll "podsense_(pod|deployment|autoscaler|namespace):info" $expr "PODSENSE_${1}" }}
{{- $series := "\\b(podsense_(?:job|instance|model):[a-z0-9_:]+|podsense_[a-z_]+|process_[a-z_]+|up)" }}
{{- $expr = regexReplaceAll (printf "%s\\{" $series) $expr (printf "${1}{%s," $ours) }}
{{- $expr = regexReplaceAll (printf "%s([^{a-z0-9_:])" $series) $expr (printf "${1}{%s}${2}" $ours) }}
{{- $series = "\\b(kube_[a-z_]+|envoy_cluster_upstream_[a-z_]+|envoy_server_[a-z_]+|PODSENSE_[a-z]+)" }}
{{- $expr = regexReplaceAll (printf "%s\\{" $series) $expr (printf "${1}{%s," $here) }}
{{- $expr = regexReplaceAll (printf "%s([^{a-z_])" $series) $expr (printf "${1}{%s}${2}" $here) }}
{{- regexReplaceAll "PODSENSE_([a-z]+)" $expr "podsense_${1}:info" | trimSuffix " " }}
{{- end }}
