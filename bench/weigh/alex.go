//go:build alex

package main

import (
	"context"

	"github.com/alexliesenfeld/health"
	"github.com/labstack/echo/v4"
)

func init() {
	parts = append(parts, func(e *echo.Echo) {
		checker := health.NewChecker(
			health.WithCheck(health.Check{Name: "check", Check: func(context.Context) error { return nil }}),
		)
		e.GET("/health", echo.WrapHandler(health.NewHandler(checker)))
	})
}
