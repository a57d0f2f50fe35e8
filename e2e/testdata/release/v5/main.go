// An application outside this repository, on Echo v5.
package main

import (
	"log"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/echov5"
	"github.com/echo-probes/echohealth/probes/httpprobe"
	"github.com/labstack/echo/v5"
)

func main() {
	e := echo.New()
	e.Use(echov5.Middleware(echohealth.WithCheck("search", httpprobe.New("http://search:9200/"))))
	log.Fatal(e.Start(":8000"))
}
