{{/*
Fails with everything that is missing, before anything is installed. Where no
cluster can be asked, as in `helm template`, lookup returns nothing at all.
*/}}
{{- define "router.validate" -}}
{{- $check := dict "problems" list }}
{{- if .Values.checkSecrets }}
{{- if lookup "v1" "Secret" .Release.Namespace "" }}
{{- range include "router.neededSecrets" . | fromJsonArray }}
{{- include "router.checkSecret" (dict "root" $ "check" $check "need" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- with $check.problems }}
{{- fail (printf "\n\nThe chart cannot be installed yet:\n\n%s\n\nThe README of the chart says how to make them (\"Before\"); --set checkSecrets=false installs without looking.\n" (join "\n" .)) }}
{{- end }}
{{- end }}

{{/* The Secrets that the pods mount, with the keys in them and what they are. */}}
{{- define "router.neededSecrets" -}}
{{- $needs := list }}
{{- with .Values }}
{{- $needs = append $needs (dict "secret" .credentials.worker.secretName "key" .credentials.worker.key "what" "credentials.worker: the NATS credential of the workers") }}
{{- if .auth.enabled }}
{{- $needs = append $needs (dict "secret" .credentials.auth.secretName "key" .credentials.auth.key "what" "credentials.auth: the NATS credential of the auth callout service") }}
{{- $needs = append $needs (dict "secret" .callout.secretName "key" .callout.issuerKey "what" "callout.issuerKey: the key that signs user JWTs") }}
{{- $needs = append $needs (dict "secret" .callout.secretName "key" .callout.xkeyKey "what" "callout.xkeyKey: the key that connection requests are encrypted for") }}
{{- end }}
{{- if or .provision.enabled (and .helmTest.enabled .auth.enabled) }}
{{- $needs = append $needs (dict "secret" .credentials.admin.secretName "key" .credentials.admin.key "what" "credentials.admin: the NATS credential that provisions") }}
{{- end }}
{{- with .proxies.secretName }}
{{- $needs = append $needs (dict "secret" . "ending" ".jwk" "what" "proxies: the signing keys of the proxies") }}
{{- end }}
{{- if and .nats.tls.ca.secretName (not .nats.tls.ca.configMapName) }}
{{- $needs = append $needs (dict "secret" .nats.tls.ca.secretName "key" .nats.tls.ca.key "what" "nats.tls.ca: the certificates that the servers' are checked against") }}
{{- end }}
{{- with .nats.tls.client }}
{{- if .secretName }}
{{- $needs = append $needs (dict "secret" .secretName "key" .certKey "what" "nats.tls.client: the client certificate") }}
{{- $needs = append $needs (dict "secret" .secretName "key" .keyKey "what" "nats.tls.client: the key of the client certificate") }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $needs }}
{{- end }}

{{- define "router.checkSecret" -}}
{{- $need := .need }}
{{- $namespace := .root.Release.Namespace }}
{{- $secret := lookup "v1" "Secret" $namespace $need.secret }}
{{- $found := false }}
{{- range $key, $_ := ($secret.data | default dict) }}
{{- if $need.ending }}
{{- $found = or $found (hasSuffix $need.ending $key) }}
{{- else }}
{{- $found = or $found (eq $need.key $key) }}
{{- end }}
{{- end }}
{{- if not $found }}
{{- $key := ternary (printf "key that ends in %s" $need.ending) (printf "key %s" (default "" $need.key)) (not (empty $need.ending)) }}
{{- $problem := ternary (printf "Secret %s in namespace %s has no %s" $need.secret $namespace $key) (printf "Secret %s does not exist in namespace %s, with the %s" $need.secret $namespace $key) (not (empty $secret)) }}
{{- $_ := set .check "problems" (append .check.problems (printf "  - %s (%s)" $problem $need.what)) }}
{{- end }}
{{- end }}
