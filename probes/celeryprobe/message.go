package celeryprobe

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"time"
)

// The messages of Celery's remote control, kombu's "pidbox": https://docs.celeryq.dev/en/stable/userguide/workers.html#remote-control

const (
	ping         = "ping"          // each worker answers that it is there
	activeQueues = "active_queues" // and which queues it consumes
)

// command is what all workers are asked. Every member has to be there.
type command struct {
	Method      string         `json:"method"`
	Arguments   map[string]any `json:"arguments"`
	Destination []string       `json:"destination"` // null: everybody
	Pattern     *string        `json:"pattern"`
	Matcher     *string        `json:"matcher"`
	Ticket      string         `json:"ticket"` // comes back with each answer
	ReplyTo     replyTo        `json:"reply_to"`
}

type replyTo struct {
	Exchange   string `json:"exchange"`
	RoutingKey string `json:"routing_key"`
}

func newCommand(method string, to replyTo) command {
	return command{Method: method, Arguments: map[string]any{}, Ticket: newID(), ReplyTo: to}
}

// newID returns a word that nobody else has.
func newID() string { return "echohealth-" + rand.Text() }

func (c command) body() []byte {
	body, _ := json.Marshal(c) // of strings alone: it can't fail
	return body
}

// headers are those of every command. A worker's clock jumps ahead to the one that it sees, and so gets a low one.
func headers() map[string]any {
	return map[string]any{"clock": int64(1), "expires": float64(time.Now().Add(answerTime).UnixMilli()) / 1000}
}

// envelope is a message on Redis: what AMQP has of properties, and the body as text.
type envelope struct {
	Body            string         `json:"body"`
	ContentEncoding string         `json:"content-encoding"`
	ContentType     string         `json:"content-type"`
	Headers         map[string]any `json:"headers"`
	Properties      properties     `json:"properties"`
}

type properties struct {
	DeliveryMode int          `json:"delivery_mode"`
	DeliveryInfo deliveryInfo `json:"delivery_info"`
	Priority     int          `json:"priority"`
	BodyEncoding string       `json:"body_encoding"`
	DeliveryTag  string       `json:"delivery_tag"`
}

type deliveryInfo struct {
	Exchange   string `json:"exchange"`
	RoutingKey string `json:"routing_key"`
}

// seal puts a command into an envelope. The body has to be base64: Celery 5.2 ends with an unrecoverable error on the
// only other encoding that there is, and on an envelope with a member missing.
func seal(c command, exchange string) []byte {
	sealed, _ := json.Marshal(envelope{ // of strings and numbers alone: it can't fail
		Body:            base64.StdEncoding.EncodeToString(c.body()),
		ContentEncoding: "utf-8",
		ContentType:     "application/json",
		Headers:         headers(),
		Properties: properties{
			DeliveryMode: 2,
			DeliveryInfo: deliveryInfo{Exchange: exchange},
			BodyEncoding: "base64",
			DeliveryTag:  newID(),
		},
	})
	return sealed
}

// What comes from the broker may come from anybody who can write there.
const (
	maxReply = 1 << 20 // far more than a worker with a hundred queues answers; what is longer is not looked at
	maxName  = 255     // of a worker and of a ticket, as AMQP's names
)

// reply is what a worker answered.
type reply struct {
	ticket string
	worker worker // without a name where the body can't be read: a worker may answer in pickle
}

type worker struct {
	name   string
	queues []string // as far as it was asked for them
}

// unseal reads a reply in an envelope. It returns false for what is none.
func unseal(sealed string) (reply, bool) {
	if len(sealed) > maxReply {
		return reply{}, false
	}
	var e struct {
		Body    string `json:"body"`
		Headers struct {
			Ticket string `json:"ticket"`
		} `json:"headers"`
		Properties struct {
			BodyEncoding string `json:"body_encoding"`
		} `json:"properties"`
	}
	if json.Unmarshal([]byte(sealed), &e) != nil {
		return reply{}, false
	}
	body := []byte(e.Body)
	if e.Properties.BodyEncoding == "base64" {
		body, _ = base64.StdEncoding.DecodeString(e.Body) // what can't be decoded can't be read below
	}
	return newReply(e.Headers.Ticket, body)
}

// newReply reads a reply's body. It returns false for what is no reply: one has a ticket, or says whose it is.
func newReply(ticket string, body []byte) (reply, bool) {
	if len(ticket) > maxName {
		ticket = ""
	}
	r := reply{ticket, readWorker(body)}
	return r, r.ticket != "" || r.worker.name != ""
}

// readWorker reads {"celery@host": …}, an answer by whom. Whatever it is, even an error, the worker is there.
func readWorker(body []byte) worker {
	var answers map[string]json.RawMessage
	if len(body) > maxReply || json.Unmarshal(body, &answers) != nil || len(answers) != 1 {
		return worker{}
	}
	for name, answer := range answers {
		if name != "" && len(name) <= maxName {
			return worker{name, readQueues(answer)}
		}
	}
	return worker{}
}

// readQueues reads [{"name": "celery", …}, …], which is the answer to active_queues.
func readQueues(answer json.RawMessage) []string {
	var queues []struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(answer, &queues) != nil {
		return nil // {"ok": "pong"}
	}
	names := make([]string, len(queues))
	for i, q := range queues {
		names[i] = q.Name
	}
	return names
}
