// Servers runs one of the servers for the tests of docs/recipes.md. It runs in a separate process, so that a
// test can freeze and kill it. It is a separate module, so that the clients' go.mod does not require the
// servers' modules. The arguments are the kind of server, the address to listen on, and further arguments of
// that kind. A server that checks credentials has the user app with the password app-secret.
package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/miekg/dns"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	user     = "app"
	password = "app-secret"
)

func main() {
	servers := map[string]func(address string, arguments []string) error{
		"nats": serveNATS, "kafka": serveKafka,
		"elasticsearch": serveElasticsearch, "smtp": serveSMTP, "tcp": serveTCP, "dns": serveDNS,
	}
	err := servers[os.Args[1]](os.Args[2], os.Args[3:])
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func serveNATS(address string, _ []string) error {
	host, port, err := hostPort(address)
	if err != nil {
		return err
	}
	s, err := server.NewServer(&server.Options{Host: host, Port: port, Username: user, Password: password})
	if err != nil {
		return err
	}
	s.Start()
	s.WaitForShutdown()
	return errors.New("nats-server has ended")
}

// serveKafka runs kfake, which simulates one broker in memory. It answers a wrong password with the error
// that Kafka returns, because kfake itself would only close the connection.
func serveKafka(address string, _ []string) error {
	_, port, err := hostPort(address)
	if err != nil {
		return err
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1), kfake.Ports(port), kfake.SeedTopics(1, "orders"),
		kfake.EnableSASL(), kfake.Superuser("PLAIN", user, password),
	)
	if err != nil {
		return err
	}
	cluster.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if string(r.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes) == "\x00"+user+"\x00"+password {
			return nil, nil, false
		}
		answer := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		answer.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return answer, nil, true
	})
	select {}
}

// serveElasticsearch simulates the only answer of Elasticsearch that the recipe needs, and checks the
// password.
func serveElasticsearch(address string, _ []string) error {
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		if name, word, _ := r.BasicAuth(); name != user || word != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="security"`)
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":{"type":"security_exception"},"status":401}`)
			return
		}
		if r.URL.Path != "/_cluster/health" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprint(w, `{"cluster_name":"docker-cluster","status":"green","timed_out":false}`)
	}))
}

func serveSMTP(address string, _ []string) error {
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return session{}, nil }))
	s.Addr, s.Domain, s.AllowInsecureAuth = address, "localhost", true
	return s.ListenAndServe()
}

// session accepts a login, but no mail.
type session struct{ smtp.Session }

func (session) Logout() error { return nil }

func (session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (session) Auth(string) (sasl.Server, error) { //nolint:unparam // the interface has the error
	return sasl.NewPlainServer(func(_, name, word string) error {
		if name != user || word != password {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func serveTCP(address string, _ []string) error {
	listener, err := net.Listen("tcp", address)
	for err == nil {
		var conn net.Conn
		if conn, err = listener.Accept(); err == nil {
			conn.Close()
		}
	}
	return err
}

// serveDNS answers queries for the name orders.test. No other name exists.
func serveDNS(address string, _ []string) error {
	return dns.ListenAndServe(address, "udp", dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		answer := new(dns.Msg).SetReply(query)
		switch question := query.Question[0]; {
		case question.Name != "orders.test.":
			answer.Rcode = dns.RcodeNameError
		case question.Qtype == dns.TypeA:
			record := &dns.A{A: net.IPv4(10, 0, 0, 7)}
			record.Hdr = dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}
			answer.Answer = append(answer.Answer, record)
		}
		_ = w.WriteMsg(answer)
	}))
}

func hostPort(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(text)
	return host, port, err
}
