//go:build httpprobe

package main

import (
	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes/httpprobe"
)

func init() {
	options = append(options, echohealth.WithCheck("search", httpprobe.New("http://127.0.0.1/")))
}
