//go:build root

package main

import (
	"github.com/echo-probes/echohealth"
	"github.com/labstack/echo/v4"
)

var options []echohealth.Option

func init() {
	parts = append(parts, func(e *echo.Echo) { e.Use(echohealth.Middleware(options...)) })
}
