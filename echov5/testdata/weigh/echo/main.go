// Command echo is the least that a service on Echo v5 is: what echov5's weight is measured against.
package main

import (
	"log"

	"github.com/labstack/echo/v5"
)

func main() {
	e := echo.New()
	log.Fatal(e.Start("127.0.0.1:0"))
}
