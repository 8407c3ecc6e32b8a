{{/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */}}

{{/* The agents' configuration: the values', and where Prometheus is to reach them. */}}
{{- define "tocsin.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if .Values.podMonitor.enabled -}}
{{- $config = merge $config (dict "http" (dict "listen" "0.0.0.0:9479")) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* The port of what the configuration has the agents listen on: (root, section, default). */}}
{{- define "tocsin.port" -}}
{{- $config := include "tocsin.config" (index . 0) | fromYaml -}}
{{- regexFind "[0-9]+$" (dig (index . 1) "listen" (index . 2) $config) -}}
{{- end -}}
