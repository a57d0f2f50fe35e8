package healthcheck

import (
	"os"
	"syscall"
)

// stopSignals end what would go on.
var stopSignals = []os.Signal{os.Interrupt, syscall.SIGTERM}
