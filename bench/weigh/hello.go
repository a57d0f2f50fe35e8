//go:build hello

package main

import (
	"context"

	"github.com/hellofresh/health-go/v5"
	"github.com/labstack/echo/v4"
)

func init() {
	parts = append(parts, func(e *echo.Echo) {
		h, err := health.New(
			health.WithChecks(health.Config{Name: "check", Check: func(context.Context) error { return nil }}),
		)
		if err != nil {
			panic(err)
		}
		e.GET("/status", echo.WrapHandler(h.Handler()))
	})
}
