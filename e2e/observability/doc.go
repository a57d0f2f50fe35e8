// Package observability tests the files in deploy/prometheus, deploy/alertmanager and deploy/grafana with a
// real Prometheus, which scrapes real services, and a real Alertmanager.
package observability
