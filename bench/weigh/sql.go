//go:build sql

package main

import (
	"database/sql"

	"github.com/labstack/echo/v4"
)

var db, _ = sql.Open("none", "")

func init() {
	parts = append(parts, func(e *echo.Echo) {
		e.GET("/sql", func(c echo.Context) error {
			var one int
			return db.QueryRowContext(c.Request().Context(), "SELECT 1").Scan(&one)
		})
	})
}
