package amqpprobe_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/probes"
)

// refusing is a broker that accepts every login. It answers each declaration of an exchange by closing the
// channel with this code and text. It replaces a version of RabbitMQ that is not available for tests.
type refusing struct {
	code uint16
	text string
}

func (r refusing) listen(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { defer conn.Close(); r.serve(conn) })
		}
	})
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	return listener.Addr().String()
}

// serve answers the methods that the probe sends. The cases are the class and the method.
func (r refusing) serve(conn net.Conn) {
	const version = "\x00\x09"
	reader := bufio.NewReader(conn)
	if _, err := io.ReadFull(reader, make([]byte, 8)); err != nil {
		return
	}
	send(conn, 0, 10, 10, version+"\x00\x00\x00\x00"+"\x00\x00\x00\x05PLAIN"+"\x00\x00\x00\x05en_US")
	for {
		channel, class, method, err := receive(reader)
		if err != nil {
			return
		}
		switch [2]uint16{class, method} {
		case [2]uint16{10, 11}: // start-ok: tune
			send(conn, 0, 10, 30, "\x07\xff\x00\x02\x00\x00\x00\x00")
		case [2]uint16{10, 40}: // open: open-ok
			send(conn, 0, 10, 41, "\x00")
		case [2]uint16{20, 10}: // channel open: open-ok
			send(conn, channel, 20, 11, "\x00\x00\x00\x00")
		case [2]uint16{40, 10}: // exchange declare: channel close
			code := string(binary.BigEndian.AppendUint16(nil, r.code))
			send(conn, channel, 20, 40, code+string(rune(len(r.text)))+r.text+"\x00\x28\x00\x0a")
		case [2]uint16{10, 50}: // close: close-ok
			send(conn, 0, 10, 51, "")
			return
		}
	}
}

func send(w io.Writer, channel, class, method uint16, arguments string) {
	frame := []byte{1}
	frame = binary.BigEndian.AppendUint16(frame, channel)
	frame = binary.BigEndian.AppendUint32(frame, uint32(4+len(arguments)))
	frame = binary.BigEndian.AppendUint16(frame, class)
	frame = binary.BigEndian.AppendUint16(frame, method)
	_, _ = w.Write(append(append(frame, arguments...), 0xce))
}

func receive(r io.Reader) (channel, class, method uint16, err error) {
	header := make([]byte, 7)
	if _, err := io.ReadFull(r, header); err != nil {
		return 0, 0, 0, err
	}
	body := make([]byte, binary.BigEndian.Uint32(header[3:])+1)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, 0, 0, err
	}
	if header[0] != 1 { // a heartbeat
		return 0, 0, 0, nil
	}
	return binary.BigEndian.Uint16(header[1:]), binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:]), nil
}

// A refusal because of a missing permission shows that the broker answers. Any other refusal is an error.
func TestRefusedLook(t *testing.T) {
	noLeaks(t)
	forbidden := refusing{403, "ACCESS_REFUSED - configure access to exchange 'amq.direct' in vhost '/' refused"}
	probe := newProbe(t, "amqp://app:app-secret@"+forbidden.listen(t))
	for range 3 {
		requireOK(t, probe.Check(t.Context()))
	}
	missing := refusing{404, "NOT_FOUND - no exchange 'amq.direct' in vhost '/'"}
	probe = newProbe(t, "amqp://app:app-secret@"+missing.listen(t))
	for range 3 {
		requireError(t, probes.ReasonNotFound, probe.Check(t.Context()))
	}
}
