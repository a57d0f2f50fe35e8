package conformance

import (
	"fmt"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// report is the result of the test.
type report struct {
	rows  [][]terminal.Cell // one for each request
	wrong []string          // the findings, each with its method and path
}

// add adds a row for a request, and its findings. a is nil if there was no answer.
func (r *report) add(method string, t client.Target, a *client.Answer, remark string, f findings) {
	verdict := terminal.Cell{Text: "ok", Level: health.Well}
	if len(f) > 0 {
		verdict = terminal.Cell{Text: "WRONG", Level: health.Failing}
	}
	row := append([]terminal.Cell{verdict}, terminal.PlainCells(method, t.URL.Path, "", "", remark)...)
	if a != nil {
		row[3].Text, row[4].Text = fmt.Sprint(a.Status), text.Duration(a.Took)
	}
	r.rows = append(r.rows, row)
	for _, finding := range f {
		r.wrong = append(r.wrong, method+" "+t.URL.Path+": "+finding)
	}
}

// print prints the rows and findings for target t, and the state of the service.
func (r *report) print(out *terminal.Output, t client.Target, service string) {
	out.Printf("%s\n\n", t)
	for _, line := range out.Table(r.rows, terminal.UnlimitedWidth) {
		out.Print(line + "\n")
	}
	if len(r.wrong) > 0 {
		out.Printf("\n%s\n", out.Paint(health.Failing, "wrong:"))
	}
	for _, wrong := range r.wrong {
		out.Printf("  %s\n", wrong)
	}
	out.Printf("\n%d answers; things wrong: %d; the service is %s\n", len(r.rows), len(r.wrong), service)
}
