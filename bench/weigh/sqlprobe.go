//go:build sqlprobe

package main

import (
	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes/sqlprobe"
)

func init() { options = append(options, echohealth.WithDatabase(sqlprobe.New(db))) }
