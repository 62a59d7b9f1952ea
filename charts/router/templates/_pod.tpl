{{/*
Volumes with the credential and the certificates of a connection. The binary
refuses secrets that everybody may read: 0440 and the fsGroup.
*/}}
{{- define "router.natsVolumes" -}}
{{- $tls := .root.Values.nats.tls }}
- name: nats
  secret:
    secretName: {{ .credential.secretName | quote }}
    defaultMode: 0440
    items:
      - {key: {{ .credential.key | quote }}, path: credential}
{{- if $tls.ca.configMapName }}
- name: tls-ca
  configMap:
    name: {{ $tls.ca.configMapName | quote }}
    items:
      - {key: {{ $tls.ca.key | quote }}, path: ca.crt}
{{- else if $tls.ca.secretName }}
- name: tls-ca
  secret:
    secretName: {{ $tls.ca.secretName | quote }}
    defaultMode: 0440
    items:
      - {key: {{ $tls.ca.key | quote }}, path: ca.crt}
{{- end }}
{{- if $tls.client.secretName }}
- name: tls-client
  secret:
    secretName: {{ $tls.client.secretName | quote }}
    defaultMode: 0440
    items:
      - {key: {{ $tls.client.certKey | quote }}, path: tls.crt}
      - {key: {{ $tls.client.keyKey | quote }}, path: tls.key}
{{- end }}
{{- end }}

{{- define "router.natsMounts" -}}
{{- $tls := .Values.nats.tls }}
- {name: nats, mountPath: /etc/voice-router/nats, readOnly: true}
{{- if or $tls.ca.secretName $tls.ca.configMapName }}
- {name: tls-ca, mountPath: /etc/voice-router/tls-ca, readOnly: true}
{{- end }}
{{- if $tls.client.secretName }}
- {name: tls-client, mountPath: /etc/voice-router/tls-client, readOnly: true}
{{- end }}
{{- end }}

{{- define "router.proxyVolume" -}}
{{- with .Values.proxies.secretName }}
- name: proxies
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{- define "router.proxyMount" -}}
{{- if .Values.proxies.secretName }}
- {name: proxies, mountPath: /etc/voice-router/proxies, readOnly: true}
{{- end }}
{{- end }}

{{/*
What every pod has: no token, no variables of other Services (they would be taken
for settings), and what the restricted Pod Security Standard demands.
*/}}
{{- define "router.podSpec" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- range $key := list "runAsUser" "runAsGroup" "fsGroup" }}
  {{- $id := get $.Values.podSecurity $key }}
  {{- if not (kindIs "invalid" $id) }}
  {{ $key }}: {{ int64 $id }}
  {{- end }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "router.container" -}}
image: {{ include "router.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* Where pods may run: (dict "root" $ "component" "worker" "settings" .Values.workers) */}}
{{- define "router.placement" -}}
{{- with .settings }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .root.Values.topologySpread }}
{{- if .topologyKeys }}
topologySpreadConstraints:
  {{- range .topologyKeys }}
  - topologyKey: {{ . | quote }}
    maxSkew: {{ $.root.Values.topologySpread.maxSkew }}
    whenUnsatisfiable: {{ $.root.Values.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "router.selectorLabels" $.root | nindent 8 }}
        app.kubernetes.io/component: {{ $.component | quote }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Port, probes and resources of a process that lasts. */}}
{{- define "router.process" -}}
ports:
  - name: http
    containerPort: {{ .root.Values.httpPort | int }}
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
resources:
  {{- toYaml .settings.resources | nindent 2 }}
{{- end }}

{{/* Kubernetes kills a pod only when it could have drained, with time to spare. */}}
{{- define "router.gracePeriod" -}}
{{- add (int .Values.config.shutdownTimeoutSeconds) 15 }}
{{- end }}
