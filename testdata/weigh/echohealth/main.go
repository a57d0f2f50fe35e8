// Command echohealth is the same as ../echo, and has health endpoints.
package main

import (
	"github.com/echo-probes/echohealth"
	"github.com/labstack/echo/v4"
)

func main() {
	e := echo.New()
	e.Use(echohealth.Middleware())
	e.Logger.Fatal(e.Start("127.0.0.1:0"))
}
