{{/* Name of the chart's part in labels. */}}
{{- define "router.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
Name of the release's objects: at most 50 characters, so that "-provision" fits
behind it, and of the form that Services demand: a letter first, no dots.
*/}}
{{- define "router.fullname" -}}
{{- $name := include "router.name" . }}
{{- $full := .Values.fullnameOverride }}
{{- if not $full }}
{{- $full = ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- end }}
{{- $full = $full | replace "." "-" }}
{{- if regexMatch "^[0-9]" $full }}
{{- $full = printf "router-%s" $full }}
{{- end }}
{{- $full | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* What selects the pods of the release; with a component, those of one Deployment. */}}
{{- define "router.selectorLabels" -}}
app.kubernetes.io/name: {{ include "router.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "router.labels" -}}
{{ include "router.selectorLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Metadata of an object: (dict "root" $ "suffix" "-worker" "component" "worker") */}}
{{- define "router.metadata" -}}
name: {{ printf "%s%s" (include "router.fullname" .root) .suffix | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "router.labels" .root | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . | quote }}
  {{- end }}
{{- end }}

{{- define "router.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ printf "%s@%s" .repository .digest | quote }}
{{- else -}}
{{ printf "%s:%s" .repository (default $.Chart.AppVersion .tag) | quote }}
{{- end -}}
{{- end -}}
{{- end }}
