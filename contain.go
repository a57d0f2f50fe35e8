package echohealth

import (
	"fmt"
	"runtime/debug"

	"github.com/echo-probes/echohealth/internal/redact"
)

// contain calls f, which is code of the application or of a probe. A panic of f becomes an error that begins
// with what and ends with the stack.
func contain(what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s panicked: %s", what, redact.Text(fmt.Sprintf("%v\n%s", v, debug.Stack())))
		}
	}()
	return f()
}
