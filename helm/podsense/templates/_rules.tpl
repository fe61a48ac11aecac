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

{{- /* The text of an alert's threshold in its expression. If it is not found, the chart has a bug. */}}
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
     other, be it in one namespace. `job` is known where this chart makes the monitor, or says so; objects of
     Kubernetes by their names. */}}
{{- define "podsense.scoped" -}}
{{- $root := index . 0 }}{{ $expr := printf "%s " (index . 1) }}
{{- $here := printf "namespace=%q" (include "podsense.namespace" $root) }}
{{- $names := include "podsense.deploymentNames" $root }}
{{- $pods := printf "%s,pod=~%q" $here (include "podsense.podPattern" $names) }}
{{- $deployments := printf "%s,deployment=~%q" $here $names }}
{{- $autoscalers := printf "%s,horizontalpodautoscaler=~%q" $here (printf "(keda-hpa-)?(%s)" (list $root.Values.autoscaling.name $names | compact | join "|")) }}
{{- $monitored := or $root.Values.metrics.podMonitor.enabled (include "podsense.serviceMonitor" $root) }}
{{- $ours := ternary (printf "%s,job=%q" $here (include "podsense.job" $root)) $here (not (empty (or $root.Values.metrics.job $monitored))) }}
{{- $expr = regexReplaceAll "podsense_(pod|deployment|autoscaler|namespace):info" $expr "PODSENSE_${1}" }}
{{- range list
    (list "podsense_(?:job|instance|model):[a-z0-9_:]+|podsense_[a-z_]+|process_[a-z_]+|up" $ours)
    (list "kube_pod_[a-z_]+|PODSENSE_pod" $pods)
    (list "kube_deployment_[a-z_]+|PODSENSE_deployment" $deployments)
    (list "kube_replicaset_owner" (printf "%s,owner_name=~%q" $here $names))
    (list "kube_horizontalpodautoscaler_[a-z_]+|PODSENSE_autoscaler" $autoscalers)
    (list "envoy_(?:cluster_upstream|server)_[a-z_]+" (ternary $pods $here (not (empty $monitored))))
    (list "PODSENSE_namespace" $here) }}
{{- $series := printf "\\b(%s)" (index . 0) }}
{{- $expr = regexReplaceAll (printf "%s\\{" $series) $expr (printf "${1}{%s," (index . 1)) }}
{{- $expr = regexReplaceAll (printf "%s([^{a-z0-9_:])" $series) $expr (printf "${1}{%s}${2}" (index . 1)) }}
{{- end }}
{{- regexReplaceAll "PODSENSE_([a-z]+)" $expr "podsense_${1}:info" | trimSuffix " " }}
{{- end }}

{{- /* The Deployments of this release, as a regular expression. */}}
{{- define "podsense.deploymentNames" -}}
{{- include "podsense.fullname" . }}{{ if eq (include "podsense.envoyMode" .) "deployment" }}|{{ include "podsense.envoyName" . }}{{ end }}
{{- end }}
