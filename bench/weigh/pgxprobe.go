//go:build pgxprobe

package main

import (
	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
)

func init() { options = append(options, echohealth.WithDatabase(pgxprobe.New(pool))) }
