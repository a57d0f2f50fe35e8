// Command echo is the least that an Echo service is: what echohealth's weight is measured against.
package main

import "github.com/labstack/echo/v4"

func main() {
	e := echo.New()
	e.Logger.Fatal(e.Start("127.0.0.1:0"))
}
