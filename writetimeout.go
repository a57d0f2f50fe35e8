package echohealth

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
)

// adviseWriteTimeout logs that the server of a health request cuts answers off, at the first request that
// the flag has not seen.
func (h *Health) adviseWriteTimeout(r *http.Request, seen *atomic.Bool) {
	if seen.Load() || !seen.CompareAndSwap(false, true) {
		return
	}
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	longest := h.config.longestTimeout()
	if !ok || server.WriteTimeout <= 0 || server.WriteTimeout > longest {
		return
	}
	h.notifier.log(slog.LevelWarn, "health check advice", slog.String("advice", fmt.Sprintf(
		"the WriteTimeout of the http.Server is %s, and a check may take %s: its answer would be cut off; "+
			"set WriteTimeout above it, or the check's timeout below", server.WriteTimeout, longest)))
}
