//go:build amqpprobe

package main

import (
	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes/amqpprobe"
)

func init() { options = append(options, echohealth.WithAMQP(amqpprobe.New("amqp://127.0.0.1/"))) }
