// Package observability tests what is in deploy/prometheus, deploy/alertmanager and deploy/grafana on a real
// Prometheus and a real Alertmanager that scrape real services.
package observability
