{{- /* Init containers that fill the volume `models`. */}}
{{- define "podsense.modelContainers" -}}
{{- if eq .Values.models.source "recipe" }}
{{- include "podsense.recipeContainer" . }}
{{- else if eq .Values.models.source "download" }}
{{- include "podsense.downloadContainers" . }}
{{- end }}
{{- end }}

{{- define "podsense.modelContainerMounts" -}}
- name: models
  mountPath: /mnt/models
- name: models-work
  mountPath: /tmp
{{- if .Values.models.manifests }}
- name: manifests
  mountPath: /mnt/manifests
  readOnly: true
{{- end }}
{{- end }}

{{- /* Manifests come last, as NAME.yaml → NAME/model.yaml. */}}
{{- define "podsense.copyManifests" -}}
{{- range $name, $manifest := .Values.models.manifests }}
mkdir -p '/mnt/models/{{ $name }}'
cp '/mnt/manifests/{{ $name }}.yaml' '/mnt/models/{{ $name }}/model.yaml'
{{- end }}
{{- end }}

{{- define "podsense.recipeContainer" -}}
- name: recipe
  image: {{ include "podsense.siblingImage" (list . .Values.models.recipe.image .Values.models.recipe.tag) }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command:
    {{- toYaml .Values.models.recipe.command | nindent 4 }}
  env:
    - name: RANDOM_STATE
      value: {{ include "podsense.text" .Values.models.recipe.randomState | quote }}
    - name: N_ESTIMATORS
      value: {{ include "podsense.text" .Values.models.recipe.nEstimators | quote }}
    - name: MODELS_DIR
      value: /mnt/models
    - name: HOME
      value: /tmp
  resources:
    {{- toYaml .Values.models.recipe.resources | nindent 4 }}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  volumeMounts:
    {{- include "podsense.modelContainerMounts" . | nindent 4 }}
{{- if .Values.models.manifests }}
- name: manifests
  image: {{ include "podsense.siblingImage" (list . .Values.models.recipe.image .Values.models.recipe.tag) }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command:
    - /bin/sh
    - -ec
    - |
      {{- include "podsense.copyManifests" . | nindent 6 }}
  resources:
    {{- toYaml .Values.models.recipe.resources | nindent 4 }}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  volumeMounts:
    {{- include "podsense.modelContainerMounts" . | nindent 4 }}
{{- end }}
{{- end }}

{{- /* One container for each kind of address that occurs. A file is moved to its place only after its
     sum was right; what is there and right (a restarted init container) is not fetched again. */}}
{{- define "podsense.downloadContainers" -}}
{{- $root := . }}
{{- $http := list }}{{ $s3 := list }}
{{- range .Values.models.download.files }}
{{- if hasPrefix "s3://" .url }}{{ $s3 = append $s3 . }}{{ else }}{{ $http = append $http . }}{{ end }}
{{- end }}
{{- if $http }}
{{- include "podsense.downloadContainer" (list $root "download-http" .Values.models.download.httpImage $http "curl -fsSL --proto =http,https --retry 5 --retry-connrefused --connect-timeout 10 -o \"$2\" \"$1\"") }}
{{- end }}
{{- if $s3 }}
{{- include "podsense.downloadContainer" (list $root "download-s3" .Values.models.download.s3Image $s3 "aws s3 cp --only-show-errors \"$1\" \"$2\"") }}
{{- end }}
{{- end }}

{{- define "podsense.downloadContainer" -}}
{{- $root := index . 0 }}{{ $name := index . 1 }}{{ $image := index . 2 }}{{ $files := index . 3 }}{{ $get := index . 4 }}
- name: {{ $name }}
  image: {{ $image }}
  imagePullPolicy: IfNotPresent
  command:
    - /bin/sh
    - -euc
    - |
      get() { {{ $get }}; }
      # fetch URL PATH SHA256
      fetch() {
        to=/mnt/models/$2
        if echo "$3  $to" | sha256sum -c - >/dev/null 2>&1; then echo "$2 is there"; return; fi
        mkdir -p "${to%/*}"
        get "$1" "$to.part"
        echo "$3  $to.part" | sha256sum -c - >/dev/null 2>&1 || {
          echo "$1: its sha256 is $(sha256sum <"$to.part"), expected $3" >&2
          rm -f "$to.part"
          exit 1
        }
        mv "$to.part" "$to"
        echo "$2: fetched and checked"
      }
      {{- range $files }}
      fetch {{ .url | squote }} {{ .path | squote }} {{ .sha256 }}
      {{- end }}
      {{- include "podsense.copyManifests" $root | nindent 6 }}
  env:
    - name: HOME
      value: /tmp
    {{- if eq $name "download-s3" }}
    {{- with $root.Values.models.download.s3Endpoint }}
    - name: AWS_ENDPOINT_URL_S3
      value: {{ . | quote }}
    {{- end }}
    {{- end }}
  {{- if and (eq $name "download-s3") $root.Values.models.download.s3Secret }}
  envFrom:
    - secretRef:
        name: {{ $root.Values.models.download.s3Secret }}
  {{- end }}
  resources:
    {{- toYaml $root.Values.models.download.resources | nindent 4 }}
  securityContext:
    {{- toYaml $root.Values.securityContext | nindent 4 }}
  volumeMounts:
    {{- include "podsense.modelContainerMounts" $root | nindent 4 }}
{{ end }}
