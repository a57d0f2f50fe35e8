package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

const (
	listLength       = 20
	noteLifetime     = 24 * time.Hour
	cleaningInterval = 10 * time.Second
)

// These statements work in PostgreSQL and in SQLite.
const (
	createTable = `CREATE TABLE IF NOT EXISTS example_notes
		(id TEXT PRIMARY KEY, text TEXT NOT NULL, created_ms BIGINT NOT NULL)`
	insertNote  = `INSERT INTO example_notes (id, text, created_ms) VALUES ($1, $2, $3)`
	selectNotes = `SELECT id, text, created_ms FROM example_notes ORDER BY created_ms DESC LIMIT $1`
	deleteNotes = `DELETE FROM example_notes WHERE created_ms < $1`
)

// note is one row of the table.
type note struct {
	ID      string    `json:"id"`
	Text    string    `json:"text"`
	Created time.Time `json:"created"`
}

// notes gives access to the table of notes.
type notes struct {
	db      *sql.DB
	created atomic.Bool
}

// create makes the table before its first use, not when the service starts. If the database is down, the
// service must start nevertheless and report that it is not ready.
func (n *notes) create(ctx context.Context) error {
	if n.created.Load() {
		return nil
	}
	_, err := n.db.ExecContext(ctx, createTable)
	if err != nil {
		// In PostgreSQL, CREATE TABLE can fail if another process creates the table at the same time. Then the
		// table exists, and the second attempt succeeds.
		_, err = n.db.ExecContext(ctx, createTable)
	}
	n.created.Store(err == nil)
	return err
}

func (n *notes) add(ctx context.Context, text string) (note, error) {
	if err := n.create(ctx); err != nil {
		return note{}, err
	}
	added := note{ID: rand.Text(), Text: text, Created: time.Now().UTC().Truncate(time.Millisecond)}
	_, err := n.db.ExecContext(ctx, insertNote, added.ID, added.Text, added.Created.UnixMilli())
	return added, err
}

// newest returns the newest notes as JSON.
func (n *notes) newest(ctx context.Context) ([]byte, error) {
	if err := n.create(ctx); err != nil {
		return nil, err
	}
	rows, err := n.db.QueryContext(ctx, selectNotes, listLength)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []note{}
	for rows.Next() {
		var row note
		var created int64
		if err := rows.Scan(&row.ID, &row.Text, &created); err != nil {
			return nil, err
		}
		row.Created = time.UnixMilli(created).UTC()
		list = append(list, row)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return json.Marshal(list)
}

// clean deletes old notes periodically until ctx ends. The heartbeat shows only that this loop runs, so clean
// beats after an error too. The database has a separate check.
func (n *notes) clean(ctx context.Context, heartbeat *probes.Heartbeat) {
	tick := time.NewTicker(cleaningInterval)
	defer tick.Stop()
	for {
		if err := n.deleteOld(ctx); err != nil && ctx.Err() == nil {
			slog.Warn("cannot delete old notes", "error", err)
		}
		heartbeat.Beat()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (n *notes) deleteOld(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cleaningInterval)
	defer cancel()
	if err := n.create(ctx); err != nil {
		return err
	}
	_, err := n.db.ExecContext(ctx, deleteNotes, time.Now().Add(-noteLifetime).UnixMilli())
	return err
}
