// Command weigh is a service that is only built, to measure the size of the program. Without build tags, it
// is a minimal Echo service. Each tag adds the file with the same build constraint.
package main

import "github.com/labstack/echo/v4"

// parts are the functions that the files with build tags add.
var parts []func(*echo.Echo)

func main() {
	e := echo.New()
	for _, add := range parts {
		add(e)
	}
	e.Logger.Fatal(e.Start("127.0.0.1:0"))
}
