package echohealth

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestShortenInvalidUTF8(t *testing.T) {
	assert.Equal(t, strings.Repeat("\x80", 1020)+"…", shorten(strings.Repeat("\x80", 2000)))
}
