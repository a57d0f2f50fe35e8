//go:build slog

package main

import (
	"log/slog"

	"github.com/labstack/echo/v4"
)

func init() {
	parts = append(parts, func(*echo.Echo) { slog.Info("a service that logs by log/slog") })
}
