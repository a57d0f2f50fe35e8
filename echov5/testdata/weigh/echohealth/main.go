// Command echohealth is the same as ../echo, and has health endpoints.
package main

import (
	"log"

	"github.com/echo-probes/echohealth/echov5"
	"github.com/labstack/echo/v5"
)

func main() {
	e := echo.New()
	e.Use(echov5.Middleware())
	log.Fatal(e.Start("127.0.0.1:0"))
}
