package redact_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/echo-probes/echohealth/internal/redact"
	"github.com/stretchr/testify/assert"
)

func TestMaskEncoded(t *testing.T) {
	checkMasked(t, []masking{
		{"postgres%3A%2F%2Fapp%3As3cret%40db", "postgres%3A%2F%2Fapp%3A***%40db"},
		{"postgres%3a%2f%2fapp%3as3%2540cret%40db%2Fx ok", "postgres%3a%2f%2fapp%3a***%40db%2Fx ok"},
		{
			"http://x/?to=amqp%253A%252F%252Fa%253As3cret%2540h",
			"http://x/?to=amqp%253A%252F%252Fa%253A***%2540h",
		},
		{
			"http://x/?dsn=host%3Ddb%20password%3Ds3cret%20user%3Dapp",
			"http://x/?dsn=host%3Ddb%20password%3D***%20user%3Dapp",
		},
		{`{"url":"redis:\/\/:s3cret@cache\/0"}`, `{"url":"redis:\/\/:***@cache\/0"}`},
		{`{"query":"a=1\u0026password\u003ds3cret"}`, `{"query":"a=1\u0026password\u003d***`},
		{`"amqp:\x2F\x2Fapp:s3cret\x40h"`, `"amqp:\x2F\x2Fapp:***\x40h"`},
		{"%70assword=s3cret", "%70assword=***"},
		{`\u0070assword=s3cret`, `\u0070assword=***`},
		{`http:/\/s3cret@h`, `http:/\/***@h`},
		{"a%3A%2F%2Fb%3As3cret%40", "a%3A%2F%2Fb%3A***%40"},
		{"%apassword%3Ds3cret", "%apassword%3D***"},
		{"%passwd%3Ds3cret", "%passwd%3D***"},
		{"100% of amqp%3A%2F%2Fa%3As3cret%40h", "100% of amqp%3A%2F%2Fa%3A***%40h"},
	})
	dsn := "postgres://app:s3cret@db:5432/app?sslmode=require"
	for depth := range 3 {
		assert.NotContains(t, redact.Text("dsn="+dsn), "s3cret", "%d times", depth)
		dsn = url.QueryEscape(dsn)
	}
}

func TestMaskEncodedLeavesProse(t *testing.T) {
	checkUnmasked(t, []string{
		"100%", "%", "%4", "%zz%4", `\`, `\u00`, `\u00zz`, `\x`, `\x4`, `C:\x64\bin`, "50%20off",
		"http://billing/a%2Fb?q=%20x answered 503",
		"https://billing/users/bob%40example.com", "a%3Ab", `{"a":"b\/c"}`, "%3A%2F%2F", "%G0%0G",
		"http%3A%2F%2Fbilling%3A8080%2Fhealthz",
		strings.Repeat("%25", 1000),
	})
}
