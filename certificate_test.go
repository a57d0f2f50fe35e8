package echohealth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/certprobe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The check of a certificate runs once an hour. It is a warning before the expiry, an error after it, and OK
// after a renewal. Readiness depends on it only if WithReadiness names it. The time of expiry is a metric.
func TestCertificate(t *testing.T) {
	for _, gates := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const day = 24 * time.Hour
			config := &tls.Config{Certificates: []tls.Certificate{selfSigned(t, 90*day)}}
			options := []echohealth.Option{
				echohealth.WithCheck("certificate", certprobe.Config(config)),
				echohealth.WithPrometheus(), echohealth.WithoutSystemMetrics(),
			}
			if gates {
				options = append(options, echohealth.WithReadiness("certificate"))
			}
			h, err := echohealth.New(options...)
			require.NoError(t, err)
			defer h.Close()
			isAfter := func(wait time.Duration, status probes.Status, reason probes.Reason) {
				t.Helper()
				time.Sleep(wait)
				report := h.Report(t.Context())
				assert.Equal(t, status, report.Checks[0].Status)
				assert.Equal(t, reason, report.Checks[0].Reason)
				assert.Equal(t, status != probes.Error || !gates, report.Ready)
				assert.NotEqual(t, echohealth.Unhealthy, report.Status)
			}
			isAfter(0, probes.OK, "")
			isAfter(69*day, probes.OK, "")
			isAfter(time.Second, probes.OK, "")
			isAfter(time.Hour, probes.Warning, probes.ReasonCertificateExpiresSoon)
			isAfter(21*day, probes.Error, probes.ReasonCertificateExpired)

			config.Certificates[0] = selfSigned(t, 90*day)
			isAfter(59*time.Second, probes.Error, probes.ReasonCertificateExpired)
			isAfter(time.Second, probes.OK, "")

			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/health/prometheus/", nil))
			leaf, err := x509.ParseCertificate(config.Certificates[0].Certificate[0])
			require.NoError(t, err)
			assert.Contains(t, answer.Body.String(), fmt.Sprintf(
				"\nechohealth_certificate_not_after_timestamp_seconds{component=\"certificate\"} %d\n", leaf.NotAfter.Unix()))
			assert.Contains(t, answer.Body.String(), "\nechohealth_component_check_interval_seconds{component=\"certificate\"} 3600\n")
		})
	}
}

func selfSigned(t *testing.T, lasts time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(lasts)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
