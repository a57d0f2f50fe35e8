package celeryprobe

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"time"
)

// The types of this file are messages of Celery's remote control, which kombu calls "pidbox". See
// https://docs.celeryq.dev/en/stable/userguide/workers.html#remote-control

const (
	methodPing         = "ping"          // each worker answers
	methodActiveQueues = "active_queues" // each worker answers with the queues that it consumes
)

// command is a command to all workers. Its JSON must have every member.
type command struct {
	Method      string         `json:"method"`
	Arguments   map[string]any `json:"arguments"`
	Destination []string       `json:"destination"` // null: all workers
	Pattern     *string        `json:"pattern"`
	Matcher     *string        `json:"matcher"`
	Ticket      string         `json:"ticket"` // repeated in each answer
	ReplyTo     replyTo        `json:"reply_to"`
}

type replyTo struct {
	Exchange   string `json:"exchange"`
	RoutingKey string `json:"routing_key"`
}

func newCommand(method string, to replyTo) command {
	return command{Method: method, Arguments: map[string]any{}, Ticket: newID(), ReplyTo: to}
}

// newID returns a unique name.
func newID() string { return "echohealth-" + rand.Text() }

func (c command) body() []byte {
	body, _ := json.Marshal(c) // can't fail, because there are only strings
	return body
}

// headers returns the headers of a command. The clock is low, because a worker that gets a higher clock than
// its own advances its own to it.
func headers() map[string]any {
	return map[string]any{"clock": int64(1), "expires": float64(time.Now().Add(answerTime).UnixMilli()) / 1000}
}

// envelope is a message on Redis. It has the properties of an AMQP message, and the body as text.
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

// encode puts a command into an envelope. The body must be base64, and no member may be missing. Otherwise a
// worker of Celery 5.2 ends with an unrecoverable error.
func encode(c command, exchange string) []byte {
	encoded, _ := json.Marshal(envelope{ // can't fail, because there are only strings and numbers
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
	return encoded
}

// Limits of an answer. They are necessary because any client with write permission can send one.
const (
	maxReply = 1 << 20 // bytes; a worker with a hundred queues needs far less; longer answers are ignored
	maxName  = 255     // bytes of a worker's name and of a ticket, as in AMQP
)

// reply is a worker's answer.
type reply struct {
	ticket string
	worker worker // has no name if the body can't be decoded, such as pickle
}

type worker struct {
	name   string
	queues []string // set only in an answer to methodActiveQueues
}

// decode reads a reply in an envelope. It returns false for anything that is no reply.
func decode(encoded string) (reply, bool) {
	if len(encoded) > maxReply {
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
	if json.Unmarshal([]byte(encoded), &e) != nil {
		return reply{}, false
	}
	body := []byte(e.Body)
	if e.Properties.BodyEncoding == "base64" {
		body, _ = base64.StdEncoding.DecodeString(e.Body) // newReply checks the decoded body
	}
	return newReply(e.Headers.Ticket, body)
}

// newReply reads the body of a reply. It returns false if there is neither a ticket nor a worker's name.
func newReply(ticket string, body []byte) (reply, bool) {
	if len(ticket) > maxName {
		ticket = ""
	}
	r := reply{ticket, readWorker(body)}
	return r, r.ticket != "" || r.worker.name != ""
}

// readWorker reads {"celery@host": …}, which has a worker's name and its answer. Any answer, even an error,
// shows that the worker is alive.
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

// readQueues returns the names in [{"name": "celery", …}, …], which is the answer to active_queues.
func readQueues(answer json.RawMessage) []string {
	var queues []struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(answer, &queues) != nil {
		return nil // an answer to ping: {"ok": "pong"}
	}
	names := make([]string, len(queues))
	for i, q := range queues {
		names[i] = q.Name
	}
	return names
}
