//go:build certprobe

package main

import (
	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes/certprobe"
)

func init() {
	options = append(options, echohealth.WithCheck("certificate", certprobe.Server("127.0.0.1:443")))
}
