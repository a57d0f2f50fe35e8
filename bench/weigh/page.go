//go:build page

package main

import "github.com/echo-probes/echohealth"

func init() { options = append(options, echohealth.WithPage()) }
