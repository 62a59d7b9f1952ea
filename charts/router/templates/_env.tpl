{{/* A variable, unless its value is empty: then the binary's default holds. */}}
{{- define "router.variable" -}}
{{- if ne (toString .value) "" }}
- name: {{ .name }}
  value: {{ .value | toString | quote }}
{{- end }}
{{- end }}

{{/* How to reach the servers: (dict "root" $ "credential" .Values.credentials.worker) */}}
{{- define "router.natsEnv" -}}
{{- $nats := .root.Values.nats }}
- name: ROUTER_NATS_URL
  value: {{ $nats.url | quote }}
{{- $file := "/etc/voice-router/nats/credential" }}
{{- if eq .credential.type "nkey" }}
- name: ROUTER_NATS_NKEY_FILE
  value: {{ $file }}
{{- else if eq .credential.type "creds" }}
- name: ROUTER_NATS_CREDS
  value: {{ $file }}
{{- else }}
- name: ROUTER_NATS_USER
  value: {{ .credential.user | quote }}
- name: ROUTER_NATS_PASSWORD_FILE
  value: {{ $file }}
{{- end }}
{{- if or $nats.tls.ca.secretName $nats.tls.ca.configMapName }}
- name: ROUTER_NATS_TLS_CA
  value: /etc/voice-router/tls-ca/ca.crt
{{- end }}
{{- if $nats.tls.client.secretName }}
- name: ROUTER_NATS_TLS_CERT
  value: /etc/voice-router/tls-client/tls.crt
- name: ROUTER_NATS_TLS_KEY
  value: /etc/voice-router/tls-client/tls.key
{{- end }}
{{- if $nats.tls.handshakeFirst }}
- name: ROUTER_NATS_TLS_FIRST
  value: "true"
{{- end }}
{{- end }}

{{/* Whether messages are signed; YAML reads off without quotes as false. */}}
{{- define "router.signaturesEnv" -}}
- name: ROUTER_SIGNATURES
  value: {{ ternary "required" "off" (eq (toString .Values.config.signatures) "required") | quote }}
{{- end }}

{{/* What workers and auth callout service have in common. */}}
{{- define "router.processEnv" -}}
- name: ROUTER_HTTP_ADDR
  value: {{ printf ":%d" (int .Values.httpPort) | quote }}
{{- with .Values.config }}
{{- include "router.variable" (dict "name" "ROUTER_LOG_LEVEL" "value" .logLevel) }}
{{- include "router.variable" (dict "name" "ROUTER_LOG_FORMAT" "value" .logFormat) }}
- name: ROUTER_PPROF
  value: {{ .pprof | quote }}
{{- include "router.variable" (dict "name" "ROUTER_ROTATE_EVERY" "value" .rotateEvery) }}
- name: ROUTER_SHUTDOWN_TIMEOUT
  value: {{ printf "%ds" (int .shutdownTimeoutSeconds) | quote }}
{{- end }}
{{- end }}

{{/* What the fleet and its streams must agree on: workers and provisioning. */}}
{{- define "router.streamEnv" -}}
{{- with .Values.config }}
{{- include "router.variable" (dict "name" "ROUTER_MAX_CALL_DURATION" "value" .maxCallDuration) }}
{{- include "router.variable" (dict "name" "ROUTER_STREAM_MAX_AGE" "value" .streamMaxAge) }}
{{- if .streamReplicas }}
- name: ROUTER_REPLICAS
  value: {{ .streamReplicas | int | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "router.workerEnv" -}}
{{- if .Values.proxies.secretName }}
- name: ROUTER_PROXY_KEYS
  value: /etc/voice-router/proxies
{{- end }}
{{ include "router.signaturesEnv" . }}
{{- with .Values.config }}
{{- include "router.variable" (dict "name" "ROUTER_RING_TIMEOUT" "value" .ringTimeout) }}
{{- include "router.variable" (dict "name" "ROUTER_MAX_MESSAGE_AGE" "value" .maxMessageAge) }}
- name: ROUTER_BATCH_SIZE
  value: {{ .batchSize | int | quote }}
- name: ROUTER_CACHE_SIZE
  value: {{ .cacheSize | int | quote }}
- name: ROUTER_LIMITS_MESSAGES
  value: {{ .limits.messages | int | quote }}
- name: ROUTER_LIMITS_STARTS
  value: {{ .limits.starts | int | quote }}
- name: ROUTER_LIMITS_APP_MESSAGES
  value: {{ .limits.appMessages | int | quote }}
{{- end }}
{{- end }}

{{- define "router.authEnv" -}}
- name: ROUTER_AUTH_ISSUER_FILE
  value: /etc/voice-router/callout/issuer
- name: ROUTER_AUTH_XKEY_FILE
  value: /etc/voice-router/callout/xkey
{{- with .Values.config.auth }}
{{- include "router.variable" (dict "name" "ROUTER_AUTH_TTL" "value" .ttl) }}
- name: ROUTER_AUTH_PARALLEL
  value: {{ .parallel | int | quote }}
{{- include "router.variable" (dict "name" "ROUTER_AUTH_REFUSAL_DELAY" "value" .refusalDelay) }}
{{- end }}
{{- end }}
