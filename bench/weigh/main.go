// Command weigh is a service that is built to be weighed. Without build tags it is the least that an Echo
// service is; each tag adds what its file says. It is not for running.
package main

import "github.com/labstack/echo/v4"

// parts are what the tags add.
var parts []func(*echo.Echo)

func main() {
	e := echo.New()
	for _, add := range parts {
		add(e)
	}
	e.Logger.Fatal(e.Start("127.0.0.1:0"))
}
