//go:build redisprobe

package main

import (
	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes/redisprobe"
)

func init() { options = append(options, echohealth.WithRedis(redisprobe.New(rdb))) }
