package pgxprobe

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// query is the statement of a check. It is sent in the simple protocol, which prepares no statement. Behind a
// pooler a prepared statement may exist only on another connection.
type query string

const (
	selectOne query = "SELECT 1"

	// showReadOnly gets its answer from the current server. The parameters that PostgreSQL reports without a
	// query may come from an earlier server if there is a pooler.
	showReadOnly query = "SHOW transaction_read_only"
)

// queryFor returns the statement of a check. The argument is true with RequireWritable.
func queryFor(writable bool) query {
	if writable {
		return showReadOnly
	}
	return selectOne
}

// ask sends the query and waits for the answer. The result readOnly means that the server is a standby, or
// that its transactions are read-only by default.
func (q query) ask(ctx context.Context, conn *pgx.Conn) (readOnly bool, err error) {
	server := conn.PgConn()
	answer := server.Exec(ctx, string(q))
	if q == showReadOnly {
		results, err := answer.ReadAll()
		return err == nil && string(results[0].Rows[0][0]) == "on", err
	}
	if err := answer.Close(); err != nil {
		return false, err
	}
	standby := server.ParameterStatus("in_hot_standby") == "on"
	return standby || server.ParameterStatus("default_transaction_read_only") == "on", nil
}
