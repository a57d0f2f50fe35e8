package celeryprobe

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCommand(t *testing.T) {
	c := newCommand(methodPing, replyTo{Exchange: "reply.celery.pidbox", RoutingKey: "id"})
	c.Ticket = "ticket"
	assert.JSONEq(t, `{"method": "ping", "arguments": {}, "destination": null, "pattern": null, "matcher": null, "ticket": "ticket",
		"reply_to": {"exchange": "reply.celery.pidbox", "routing_key": "id"}}`, string(c.body()))
	assert.NotEqual(t, newID(), newID())
}

// A worker of Celery 5.2 ends if a member is missing or the body is not in base64.
func TestEncode(t *testing.T) {
	c := newCommand(methodActiveQueues, replyTo{RoutingKey: "key"})
	var e map[string]any
	require.NoError(t, json.Unmarshal(encode(c, "celery.pidbox"), &e))
	body, err := base64.StdEncoding.DecodeString(e["body"].(string))
	require.NoError(t, err)
	assert.Equal(t, c.body(), body)
	assert.Equal(t, "utf-8", e["content-encoding"])
	assert.Equal(t, "application/json", e["content-type"])
	assert.Equal(t, 1.0, e["headers"].(map[string]any)["clock"])
	assert.NotEmpty(t, e["headers"].(map[string]any)["expires"])
	properties := e["properties"].(map[string]any)
	assert.NotEmpty(t, properties["delivery_tag"])
	delete(properties, "delivery_tag")
	assert.Equal(t, map[string]any{
		"delivery_mode": 2.0, "priority": 0.0, "body_encoding": "base64",
		"delivery_info": map[string]any{"exchange": "celery.pidbox", "routing_key": ""},
	}, properties)
}

// encoded returns a reply as workers put it into the list of answers.
func encoded(ticket, body string) string {
	text, _ := json.Marshal(map[string]any{
		"body": base64.StdEncoding.EncodeToString([]byte(body)), "content-type": "application/json", "content-encoding": "utf-8",
		"headers":    map[string]any{"ticket": ticket, "clock": 7},
		"properties": map[string]any{"body_encoding": "base64", "delivery_mode": 1},
	})
	return string(text)
}

func TestDecode(t *testing.T) {
	tests := map[string]struct {
		in   string
		want reply
		ok   bool
	}{
		"pong":           {encoded("t", `{"celery@host": {"ok": "pong"}}`), reply{"t", worker{name: "celery@host"}}, true},
		"queues":         {encoded("t", `{"a@b": [{"name": "mail", "exchange": {}}, {"name": "x"}]}`), reply{"t", worker{"a@b", []string{"mail", "x"}}}, true},
		"no queues":      {encoded("t", `{"a@b": []}`), reply{"t", worker{"a@b", []string{}}}, true},
		"error":          {encoded("t", `{"a@b": {"error": "KeyError('x')"}}`), reply{"t", worker{name: "a@b"}}, true},
		"pickle":         {encoded("t", "\x80\x04\x95\x1c"), reply{ticket: "t"}, true},
		"no ticket":      {encoded("", `{"a@b": {"ok": "pong"}}`), reply{"", worker{name: "a@b"}}, true},
		"plain body":     {`{"body": "{\"a@b\": 1}", "properties": {"body_encoding": "utf-8"}}`, reply{"", worker{name: "a@b"}}, true},
		"no name":        {encoded("", `{"": {"ok": "pong"}}`), reply{}, false},
		"no reply":       {encoded("", `[]`), reply{}, false},
		"not base64":     {`{"body": "{}", "headers": {"ticket": "t"}, "properties": {"body_encoding": "base64"}}`, reply{ticket: "t"}, true},
		"placeholder":    {placeholder, reply{}, false},
		"garbage":        {"\x00\xff{", reply{}, false},
		"another shape":  {`{"body": 1, "headers": [], "properties": null}`, reply{}, false},
		"two names":      {encoded("t", `{"a@b": {"ok": "pong"}, "c@d": {"ok": "pong"}}`), reply{ticket: "t"}, true},
		"the same twice": {encoded("t", `{"a@b": {"ok": "pong"}, "a@b": {"ok": "pong"}}`), reply{"t", worker{name: "a@b"}}, true},
		"a long name":    {encoded("t", `{"`+strings.Repeat("a", 256)+`": {"ok": "pong"}}`), reply{ticket: "t"}, true},
		"a long ticket":  {encoded(strings.Repeat("t", 256), "pickle"), reply{}, false},
		"too long":       {encoded("t", strings.Repeat(" ", maxReply)), reply{}, false},
	}
	for name, test := range tests {
		got, ok := decode(test.in)
		assert.Equal(t, test.ok, ok, name)
		assert.Equal(t, test.want, got, name)
	}
	_, ok := newReply("", []byte(`{"`+strings.Repeat("a", maxReply)+`": 1}`))
	assert.False(t, ok, "too long")
}

// Any message counts as one worker at most, the same message counts once, and little memory is kept for it.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		encoded("t", `{"celery@host": {"ok": "pong"}}`), encoded("t", `{"a@b": [{"name": "mail"}]}`), encoded("t", "\x80\x04"), placeholder,
		encoded("", `{"a@b": 1, "c@d": 2}`), encoded(strings.Repeat("t", 300), "x"), `{"body": "e30=", "properties": {"body_encoding": "base64"}}`,
		`{"body": "{}", "headers": {"ticket": "t"}, "properties": {"body_encoding": "base64"}}`,
		`{"celery@host": {"ok": "pong"}}`, `{"a@b": [{"name": 1}]}`, `{"a@b": null}`, `{"a@b": 1, "a@b": 2}`, `{"\ud800": 1}`, "null", "[]", "{", "\xff",
		strings.Repeat("[", 20_000), `{"a": [` + strings.Repeat(`{"name": "mail"},`, 1000) + `{"name": "x"}]}`,
	} {
		f.Add(seed, "t")
	}
	f.Fuzz(func(t *testing.T, data, ticket string) {
		a := newAnswers(1, nil, []string{"mail"})
		for _, read := range []func() (reply, bool){
			func() (reply, bool) { return decode(data) },
			func() (reply, bool) { return newReply(ticket, []byte(data)) },
		} {
			r, ok := read()
			if ok != (r.ticket != "" || r.worker.name != "") {
				t.Fatalf("%q is read as %+v, a reply: %t", data, r, ok)
			}
			if !ok {
				continue
			}
			before := a.count()
			a.add(r)
			once := a.count()
			if once > before+1 {
				t.Fatalf("%q is counted as %d workers", data, once-before)
			}
			if r.ticket = "another"; r.worker.name != "" {
				if a.add(r); a.count() != once {
					t.Fatalf("the worker %q is counted twice", r.worker.name)
				}
			}
		}
		remembered := 0
		for name, tickets := range a.tickets {
			remembered += len(name) + 4*len(a.consumed[name])
			for ticket := range tickets {
				remembered += len(ticket)
			}
		}
		if remembered > 8*maxName {
			t.Fatalf("%d bytes of %q are remembered", remembered, data)
		}
	})
}
