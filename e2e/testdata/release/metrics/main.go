// An application outside this repository that exports the metrics in both ways.
package main

import (
	"log"
	"net/http"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/otelhealth"
	"github.com/echo-probes/echohealth/promhealth"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/metric/noop"
)

func main() {
	health, err := echohealth.New(echohealth.WithPrometheus(), echohealth.WithHistory())
	if err != nil {
		log.Fatal(err)
	}
	prometheus.MustRegister(promhealth.NewCollector(health))
	if _, err := otelhealth.Register(health, noop.NewMeterProvider()); err != nil {
		log.Fatal(err)
	}
	http.Handle("/metrics", promhttp.Handler())
	log.Fatal(http.ListenAndServe(":8000", health.Wrap(http.DefaultServeMux)))
}
