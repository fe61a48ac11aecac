{{- /* [root, template]: the objects of the values themselves, then those of each of `deployments`. */}}
{{- define "podsense.each" }}
{{- $root := index . 0 }}{{ $template := index . 1 }}
{{- include $template $root }}
{{- range $name, $own := default dict $root.Values.deployments }}
{{- $one := dict }}
{{- include "podsense.oneDeployment" (list $root $name (default dict $own) $one) }}
{{- with include $template $one | trim | trimPrefix "---" }}
---
{{ trim . }}
{{- end }}
{{- end }}
{{- end }}

{{- /* [root, name, its values, {}]: makes of the last a root like the first, as if a release RELEASE-NAME had been installed
     with the shared values and these. What there is once (service account, secret, claim) stays the release's. */}}
{{- define "podsense.oneDeployment" -}}
{{- $root := index . 0 }}{{ $name := index . 1 }}{{ $one := index . 3 }}
{{- $full := printf "%s-%s" (include "podsense.fullname" $root) $name }}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" $name) }}{{ fail (printf "deployments.%s: a name has small letters, digits and -" $name) }}{{ end }}
{{- if gt (len $full) 53 }}{{ fail (printf "deployments.%s: the name %s is longer than 53 characters" $name $full) }}{{ end }}
{{- $values := omit (deepCopy $root.Values) "deployments" }}
{{- $account := include "podsense.serviceAccountName" $root }}
{{- $its := dict "fullnameOverride" $full "serviceAccount" (dict "create" true "name" $account) "metrics" (dict "job" "" "prometheusRule" (dict "extraGroups" list)) }}
{{- range list "service" "headlessService" "loadBalancer" "envoy" "podDisruptionBudget" "autoscaling" "networkPolicy" "ingress" }}
{{- $_ := set $its . (dict "name" "") }}
{{- end }}
{{- range list "ingress" "gateway" "loadBalancer" }}{{ $_ := set $its . (merge (dict "enabled" false) (default dict (get $its .))) }}{{ end }}
{{- range list "service" "envoy" }}{{ $_ := set (get $its .) "nodePort" nil }}{{ end }}
{{- with include "podsense.secretName" $root }}{{ $_ := set $its "secret" (dict "create" false "existingSecret" .) }}{{ end }}
{{- if eq $root.Values.models.source "pvc" }}
{{- $claim := default (printf "%s-models" (include "podsense.fullname" $root)) $root.Values.models.pvc.existingClaim }}
{{- $_ := set $its "models" (dict "pvc" (dict "existingClaim" $claim)) }}
{{- end }}
{{- $values = mergeOverwrite $values $its (deepCopy (index . 2)) }}
{{- if and (eq $values.models.source "pvc") (not $values.models.pvc.existingClaim) }}
{{- fail (printf "deployments.%s: models.source is pvc: name its models.pvc.existingClaim" $name) }}
{{- end }}
{{- $release := merge (dict "Name" (printf "%s-%s" $root.Release.Name $name)) $root.Release }}
{{- range $key := list "Chart" "Capabilities" "Files" "Template" }}{{ $_ := set $one $key (get $root $key) }}{{ end }}
{{- $_ := set $one "Values" $values }}{{ $_ := set $one "Release" $release }}
{{- end }}
