//go:build celeryprobe

package main

import (
	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

func init() { options = append(options, echohealth.WithCelery(celeryprobe.New("amqp://127.0.0.1/"))) }
