//go:build sundheit

package main

import (
	"context"
	"time"

	gosundheit "github.com/AppsFlyer/go-sundheit"
	"github.com/AppsFlyer/go-sundheit/checks"
	sundheithttp "github.com/AppsFlyer/go-sundheit/http"
	"github.com/labstack/echo/v4"
)

func init() {
	parts = append(parts, func(e *echo.Echo) {
		h := gosundheit.New()
		check := &checks.CustomCheck{
			CheckName: "check",
			CheckFunc: func(context.Context) (any, error) { return nil, nil },
		}
		if err := h.RegisterCheck(check, gosundheit.ExecutionPeriod(time.Second)); err != nil {
			panic(err)
		}
		e.GET("/health", echo.WrapHandler(sundheithttp.HandleHealthJSON(h)))
	})
}
