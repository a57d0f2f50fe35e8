package testserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Prometheus is a running Prometheus or Alertmanager. It keeps its data over Stop and Kill.
type Prometheus struct{ Server }

// NewPrometheus starts a Prometheus that ends with the test. files maps the names of configuration files to
// their contents, and must contain "prometheus.yml".
func NewPrometheus(t testing.TB, files map[string]string) *Prometheus {
	t.Helper()
	program := find(t, "prometheus", "prometheus")
	return startPrometheus(t, "Prometheus", program, files, func(p *Prometheus) []string {
		return []string{
			"--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=" + p.Addr(),
			"--log.level=warn",
		}
	})
}

// NewAlertmanager starts an Alertmanager that ends with the test. It has no peers.
func NewAlertmanager(t testing.TB, config string) *Prometheus {
	t.Helper()
	program := find(t, "prometheus-alertmanager", "prometheus-alertmanager")
	files := map[string]string{"alertmanager.yml": config}
	return startPrometheus(t, "Alertmanager", program, files, func(p *Prometheus) []string {
		return []string{
			"--config.file=alertmanager.yml", "--storage.path=data", "--web.listen-address=" + p.Addr(),
			"--cluster.listen-address=", "--log.level=warn",
		}
	})
}

func startPrometheus(
	t testing.TB, name, program string, files map[string]string, arguments func(*Prometheus) []string,
) *Prometheus {
	t.Helper()
	account := unprivileged(t, "nobody")
	p := &Prometheus{}
	p.lifecycle = lifecycle{name: name, dir: mustMakeDir(t, account), answers: p.ready, stop: syscall.SIGTERM}
	for file, content := range files {
		if err := os.WriteFile(filepath.Join(p.dir, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.command = func() command {
		return command{account: account, argv: append([]string{program}, arguments(p)...)}
	}
	p.open(t)
	p.endWith(t)
	return p
}

var webClient = &http.Client{Timeout: 5 * time.Second}

func (p *Prometheus) ready() error {
	response, err := webClient.Get("http://" + p.Addr() + "/-/ready")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/-/ready answers %s", response.Status)
	}
	return nil
}

// Get requests path of Prometheus's HTTP API, such as "query" with the parameter query, and decodes the
// answer's data into the variable that into points to.
func (p *Prometheus) Get(path string, parameters url.Values, into any) error {
	response, err := webClient.Get("http://" + p.Addr() + "/api/v1/" + path + "?" + parameters.Encode())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", path, answer.Error)
	}
	return nil
}
