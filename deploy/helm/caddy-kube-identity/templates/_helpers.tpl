{{- define "kube-identity.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "kube-identity.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "kube-identity.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "kube-identity.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "kube-identity.selector" -}}
app.kubernetes.io/name: {{ include "kube-identity.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kube-identity.labels" -}}
{{ include "kube-identity.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "kube-identity.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "kube-identity.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed, since serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "kube-identity.image" -}}
{{- $image := printf "%s:%s" .Values.image.repository (default (printf "v%s" .Chart.AppVersion) .Values.image.tag) -}}
{{- if .Values.image.digest -}}
{{- $image = printf "%s@%s" $image .Values.image.digest -}}
{{- end -}}
{{- $image -}}
{{- end -}}

{{- define "kube-identity.servicePort" -}}
{{- .Values.service.port | default (ternary 443 80 (ne .Values.tls.existingSecret "")) -}}
{{- end -}}

{{/* The groups that may be impersonated, as arguments of allow_groups. */}}
{{- define "kube-identity.groups" -}}
{{- range $i, $group := .Values.rbac.impersonate.groups -}}
{{- if $i }} {{ end -}}
{{- $group | quote -}}
{{- end -}}
{{- end -}}

{{/* Text of the operator inside a block of the Caddyfile: a template, with one more tab. */}}
{{- define "kube-identity.block" -}}
{{- range splitList "\n" (trim (tpl .text .root)) }}
{{ if trim . }}{{ print "\t" . }}{{ end }}
{{- end -}}
{{- end -}}

{{- define "kube-identity.caddyfile" -}}
{
	admin off
	persist_config off
	auto_https off
	metrics
	grace_period {{ .Values.shutdown.graceSeconds }}s

	{{- if .Values.tls.existingSecret }}

	# The Service has no port for HTTP/3.
	servers :{{ .Values.ports.http }} {
		protocols h1 h2
	}
	{{- end }}
	{{- if .Values.caddyfile.hiddenHeaders }}

	# For a request that fails, Caddy's log has its header.
	log {
		format filter {
			{{- range .Values.caddyfile.hiddenHeaders }}
			request>headers>{{ . }} delete
			{{- end }}
		}
	}
	{{- end }}
	{{- if .Values.caddyfile.globalOptions }}
{{/* a blank line */}}
	{{- include "kube-identity.block" (dict "text" .Values.caddyfile.globalOptions "root" .) }}
	{{- end }}
}

# For the kubelet and Prometheus, apart from the guarded site.
http://:{{ .Values.ports.metrics }} {
	handle /livez {
		respond 200
	}
	handle /readyz {
		{{ ternary "kube_identity_ready" "respond 200" .Values.probes.waitForIssuers }}
	}
	handle /metrics {
		metrics
	}
}

{{ with .Values.caddyfile.sites -}}
{{ trim (tpl . $) }}

{{ end -}}
{{ ternary "https" "http" (ne .Values.tls.existingSecret "") }}://:{{ .Values.ports.http }} {
	{{- if .Values.tls.existingSecret }}
	tls /etc/kube-identity/tls/tls.crt /etc/kube-identity/tls/tls.key
	{{- end }}
	{{- if .Values.caddyfile.accessLog }}
	log
	{{- end }}
	{{- include "kube-identity.block" (dict "text" .Values.caddyfile.site "root" .) }}
}
{{- end -}}

{{/* Choices that contradict each other. */}}
{{- define "kube-identity.check" -}}
{{- if eq (int .Values.ports.http) (int .Values.ports.metrics) -}}
{{- fail "ports.http and ports.metrics are the same: probes and metrics need a site of their own" -}}
{{- end -}}
{{- $impersonate := .Values.rbac.impersonate -}}
{{- if and $impersonate.enabled (not $impersonate.groups) (not $impersonate.allGroups) -}}
{{- fail "rbac.impersonate needs the groups of allow_groups, or allGroups: true for every group, and so system:masters" -}}
{{- end -}}
{{- if and $impersonate.groups $impersonate.allGroups -}}
{{- fail "rbac.impersonate has groups and allGroups: choose one" -}}
{{- end -}}
{{- if and (or $impersonate.enabled .Values.rbac.tokenReviews) (not .Values.serviceAccount.token.mount) -}}
{{- fail "rbac.impersonate and rbac.tokenReviews need the account's token: serviceAccount.token.mount" -}}
{{- end -}}
{{- if and .Values.login.clientSecret.existingSecret (gt (int .Values.replicaCount) 1) (not .Values.login.sessionKeys.existingSecret) -}}
{{- fail "with more than one replica login.sessionKeys.existingSecret is needed: otherwise a replica does not know the sessions of another one" -}}
{{- end -}}
{{- end -}}
