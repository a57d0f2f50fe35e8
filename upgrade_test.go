package echohealth

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUpgradeWriterClosesTheConnection(t *testing.T) {
	tests := map[string]struct {
		answer func(u *upgradeWriter)
		code   int
		closes bool
	}{
		"a status":   {func(u *upgradeWriter) { u.WriteHeader(http.StatusTeapot) }, http.StatusTeapot, true},
		"an upgrade": {func(u *upgradeWriter) { u.WriteHeader(http.StatusSwitchingProtocols) }, http.StatusSwitchingProtocols, false},
		"a body":     {func(u *upgradeWriter) { _, _ = u.Write([]byte("body")) }, http.StatusOK, true},
		"a flush":    {func(u *upgradeWriter) { u.Flush() }, http.StatusOK, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			recorder := httptest.NewRecorder()
			u := &upgradeWriter{ResponseWriter: recorder}
			test.answer(u)
			assert.Equal(t, test.code, recorder.Code)
			assert.Equal(t, test.closes, recorder.Header().Get("Connection") == "close")
			assert.Same(t, recorder, u.Unwrap())
			if test.code != http.StatusSwitchingProtocols {
				n, err := u.Write([]byte("more"))
				require.NoError(t, err)
				assert.Equal(t, 4, n)
			}
		})
	}
}
