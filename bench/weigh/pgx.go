//go:build pgx

package main

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"
)

var pool, _ = pgxpool.New(context.Background(), "")

func init() {
	parts = append(parts, func(e *echo.Echo) {
		e.GET("/pgx", func(c echo.Context) error {
			_, err := pool.Exec(c.Request().Context(), "SELECT 1")
			return err
		})
	})
}
