{{- /* Name of everything that the chart makes: the release, with the chart's name unless it says so already. */}}
{{- define "mde-collector.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- /* What the pods are found by; it must not change in an upgrade. */}}
{{- define "mde-collector.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mde-collector.labels" -}}
{{ include "mde-collector.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* The configuration: the values' own, above where the page listens. The page has no secret and the NetworkPolicy bounds it. */}}
{{- define "mde-collector.config" -}}
{{- $ours := dict "globals" (dict "status" (dict "listen" "0.0.0.0:9600" "insecure" true)) }}
{{- toYaml (mergeOverwrite $ours (deepCopy .Values.config)) }}
{{- end }}

{{- /* The pod, the same for both kinds of state. */}}
{{- define "mde-collector.pod" -}}
metadata:
  labels:
    {{- include "mde-collector.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    # Another configuration is another pod.
    checksum/config: {{ include "mde-collector.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "mde-collector.name" . }}
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{ toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: collector
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: ["run"]
      {{- with .Values.env }}
      env: {{ toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - {name: status, containerPort: 9600}
      livenessProbe:
        httpGet: {path: /healthz, port: status}
        periodSeconds: 10
        failureThreshold: 6
      # Not ready tells a person; it takes nothing away from the collector, to which nobody connects.
      readinessProbe:
        httpGet: {path: /readyz, port: status}
        periodSeconds: 10
      resources: {{ toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: config, mountPath: /devo-collector/config, readOnly: true}
        - {name: state, mountPath: /devo-collector/state}
        - {name: temporary, mountPath: /tmp}
        {{- if .Values.credentialsSecret }}
        - {name: credentials, mountPath: /devo-collector/credentials, readOnly: true}
        {{- end }}
        {{- if .Values.certificatesSecret }}
        - {name: certificates, mountPath: /devo-collector/certs, readOnly: true}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "mde-collector.name" . }}}
    - name: temporary
      emptyDir: {sizeLimit: 1Gi}
    {{- if eq .Values.state.kind "postgres" }}
    - name: state
      emptyDir: {}
    {{- end }}
    {{- with .Values.credentialsSecret }}
    - name: credentials
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    {{- with .Values.certificatesSecret }}
    - name: certificates
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{ toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
