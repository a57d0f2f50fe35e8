//go:build redis

package main

import (
	"github.com/labstack/echo/v4"
	"github.com/redis/go-redis/v9"
)

var rdb = redis.NewClient(&redis.Options{})

func init() {
	parts = append(parts, func(e *echo.Echo) {
		e.GET("/redis", func(c echo.Context) error { return rdb.Get(c.Request().Context(), "key").Err() })
	})
}
