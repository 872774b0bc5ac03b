package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"shisa/ctl/event"
)

const databaseName = "history.db"

// schema is version 1. Times are nanoseconds since 1970; STRICT keeps foreign
// hands honest.
const schema = `
CREATE TABLE IF NOT EXISTS events (
	seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, uptime INTEGER NOT NULL, boot TEXT NOT NULL,
	code TEXT NOT NULL, severity INTEGER NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL, fields TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS events_subject ON events(subject, seq);
CREATE TABLE IF NOT EXISTS verdicts (
	id INTEGER PRIMARY KEY, time INTEGER NOT NULL, monitor TEXT NOT NULL,
	was TEXT NOT NULL, now TEXT NOT NULL, detail TEXT NOT NULL, took INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS verdicts_monitor ON verdicts(monitor, id);
PRAGMA user_version = 1;
`

// pragmas: one connection with a cache of 512 KiB; in WAL mode with NORMAL a
// crash may lose the last events, never the database.
const pragmas = `PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
PRAGMA cache_size = -512; PRAGMA journal_size_limit = 1048576; PRAGMA temp_store = MEMORY;`

// A database is an open history. It is used by one goroutine.
type database struct {
	db   *sql.DB
	last uint64 // greatest sequence number when it was opened
}

func openDatabase(dir string) (*database, error) {
	path := filepath.Join(dir, databaseName)
	// Made here for its permissions: SQLite would ask the umask.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	d := &database{db: db}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return d, nil
}

func (d *database) prepare() error {
	if _, err := d.db.Exec(pragmas + schema); err != nil {
		return err
	}
	var last sql.NullInt64
	if err := d.db.QueryRow(`SELECT max(seq) FROM events`).Scan(&last); err != nil {
		return err
	}
	d.last = uint64(max(0, last.Int64))
	return nil
}

func (d *database) close() error { return d.db.Close() }

// corrupt reports whether err says that the file is no sound database.
func corrupt(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff { // the low byte of an extended code is the primary one
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_ERROR:
		// SQLITE_ERROR: a table of another shape.
		return true
	}
	return false
}

// putAside renames the database, over one that was put aside before.
func putAside(dir string) error {
	path := filepath.Join(dir, databaseName)
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(path, path+".damaged")
}

// write stores jobs in one transaction, prunes to limit bytes, and returns how
// many bytes are used.
func (d *database) write(jobs []job, limit int64) (int64, error) {
	tx, err := d.db.Begin()
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	for _, j := range jobs {
		if err := insert(tx, j); err != nil {
			return 0, err
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, err
	}
	return d.prune(limit)
}

func insert(tx *sql.Tx, j job) error {
	if v := j.verdict; v != nil {
		_, err := tx.Exec(`INSERT INTO verdicts (time, monitor, was, now, detail, took) VALUES (?, ?, ?, ?, ?, ?)`,
			v.Time.UnixNano(), v.Monitor, v.From, v.To, v.Detail, int64(v.Took))
		return err
	}
	e := j.event
	fields, err := json.Marshal(e.Fields)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(e.Seq), e.Time.UnixNano(), int64(e.Uptime), e.Boot, e.Code, int(e.Severity), e.Subject, e.Text, string(fields))
	return err
}

// prune deletes the oldest tenth of both tables until at most limit bytes are
// used.
func (d *database) prune(limit int64) (int64, error) {
	for {
		var pages, free, size int64
		err := d.db.QueryRow(`SELECT c.page_count, f.freelist_count, s.page_size
			FROM pragma_page_count c, pragma_freelist_count f, pragma_page_size s`).Scan(&pages, &free, &size)
		if used := (pages - free) * size; err != nil || used <= limit {
			return used, err
		}
		deleted := int64(0)
		for _, statement := range []string{
			`DELETE FROM events WHERE seq <= (SELECT seq FROM events ORDER BY seq LIMIT 1 OFFSET (SELECT count(*)/10 FROM events))`,
			`DELETE FROM verdicts WHERE id <= (SELECT id FROM verdicts ORDER BY id LIMIT 1 OFFSET (SELECT count(*)/10 FROM verdicts))`,
		} {
			r, err := d.db.Exec(statement)
			if err != nil {
				return 0, err
			}
			n, err := r.RowsAffected()
			if err != nil {
				return 0, err
			}
			deleted += n
		}
		if _, err := d.db.Exec(`PRAGMA incremental_vacuum`); err != nil || deleted == 0 {
			return 0, err
		}
	}
}

// events returns what q selects, oldest first.
func (d *database) events(ctx context.Context, q event.Query) ([]event.Event, error) {
	where, args := conditions(q)
	rows, err := d.db.QueryContext(ctx, `SELECT seq, time, uptime, boot, code, severity, subject, text, fields
		FROM events WHERE `+where+` ORDER BY seq DESC LIMIT ?`, append(args, q.Bound())...)
	if err != nil {
		return nil, fmt.Errorf("query history: %w", err)
	}
	defer rows.Close()
	var found []event.Event
	for rows.Next() {
		var e event.Event
		var seq, at, uptime int64
		var fields string
		if err := rows.Scan(&seq, &at, &uptime, &e.Boot, &e.Code, &e.Severity, &e.Subject, &e.Text, &fields); err != nil {
			return nil, fmt.Errorf("query history: %w", err)
		}
		if err := json.Unmarshal([]byte(fields), &e.Fields); err != nil {
			return nil, fmt.Errorf("query history: event %d: %w", seq, err)
		}
		e.Seq, e.Time, e.Uptime = uint64(seq), time.Unix(0, at), time.Duration(uptime)
		found = append(found, e)
	}
	slices.Reverse(found)
	return found, rows.Err()
}

// conditions returns the WHERE clause for q and its arguments.
func conditions(q event.Query) (string, []any) {
	where, args := []string{"seq > ?", "severity >= ?"}, []any{int64(q.After), int(q.Severity)}
	if !q.Since.IsZero() {
		where, args = append(where, "time >= ?"), append(args, q.Since.UnixNano())
	}
	if len(q.Codes) > 0 {
		where = append(where, "code IN (?"+strings.Repeat(", ?", len(q.Codes)-1)+")")
		for _, c := range q.Codes {
			args = append(args, c)
		}
	}
	if len(q.Subjects) > 0 {
		any := make([]string, len(q.Subjects))
		for i, s := range q.Subjects {
			// '0' is the character behind '/': a range, so that the index serves.
			any[i] = "subject = ? OR subject >= ? AND subject < ?"
			args = append(args, s, s+"/", s+"0")
		}
		where = append(where, "("+strings.Join(any, " OR ")+")")
	}
	return strings.Join(where, " AND "), args
}

// verdicts returns the latest n changes of a monitor, oldest first.
func (d *database) verdicts(ctx context.Context, monitor string, n int) ([]VerdictChange, error) {
	rows, err := d.db.QueryContext(ctx, `SELECT time, monitor, was, now, detail, took
		FROM verdicts WHERE monitor = ? ORDER BY id DESC LIMIT ?`, monitor, n)
	if err != nil {
		return nil, fmt.Errorf("query history: %w", err)
	}
	defer rows.Close()
	var found []VerdictChange
	for rows.Next() {
		var v VerdictChange
		var at, took int64
		if err := rows.Scan(&at, &v.Monitor, &v.From, &v.To, &v.Detail, &took); err != nil {
			return nil, fmt.Errorf("query history: %w", err)
		}
		v.Time, v.Took = time.Unix(0, at), time.Duration(took)
		found = append(found, v)
	}
	slices.Reverse(found)
	return found, rows.Err()
}
