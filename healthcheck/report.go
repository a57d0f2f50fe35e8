package healthcheck

import (
	"fmt"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// report is what the test has asked, and what is wrong with the answers.
type report struct {
	rows  [][]cell
	wrong []string
}

// add adds a row for a request, and what was found. The answer is nil where there was none.
func (r *report) add(method string, t target, a *answer, remark string, f findings) {
	verdict := cell{text: "ok", level: health.Well}
	if len(f) > 0 {
		verdict = cell{text: "WRONG", level: health.Failing}
	}
	row := append([]cell{verdict}, plainCells(method, t.url.Path, "", "", remark)...)
	if a != nil {
		row[3].text, row[4].text = fmt.Sprint(a.status), text.Duration(a.took)
	}
	r.rows = append(r.rows, row)
	for _, finding := range f {
		r.wrong = append(r.wrong, method+" "+t.url.Path+": "+finding)
	}
}

// print prints the report of a target, and what the service is in one word or a few.
func (r *report) print(out *output, t target, service string) {
	out.printf("%s\n\n", t)
	for _, line := range out.table(r.rows, unlimitedWidth) {
		out.print(line + "\n")
	}
	if len(r.wrong) > 0 {
		out.printf("\n%s\n", out.paint(health.Failing, "wrong:"))
	}
	for _, wrong := range r.wrong {
		out.printf("  %s\n", wrong)
	}
	out.printf("\n%d answers; things wrong: %d; the service is %s\n", len(r.rows), len(r.wrong), service)
}
