//go:build prometheus

package main

import "github.com/echo-probes/echohealth"

func init() { options = append(options, echohealth.WithPrometheus()) }
