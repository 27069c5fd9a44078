package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/edgewright/edgewright/fault"
)

var errClosed = fault.New(fault.Unavailable, "the store is closed")

// wrap gives a database's error a code: Unavailable when trying again may help,
// Internal when it shows a defect. Faults and the context's errors pass.
func wrap(doing string, err error) error {
	var coded *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &coded):
		return err
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Unavailable, "%s: the database did not answer in time: %w", doing, err)
	case away(err):
		return fault.New(fault.Unavailable, "%s: the database is not available: %w", doing, err)
	}
	return fault.New(fault.Internal, "%s: %w", doing, err)
}

// lost reports that a connection broke before or while it was used, as happens
// to those in a pool when the server restarts. A read can be repeated on another.
func lost(err error) bool {
	if err == nil {
		return false
	}
	var remote *pgconn.PgError
	if errors.As(err, &remote) {
		return slices.Contains([]string{"57P01", "57P02", "25P03"}, remote.Code) // shutdown, crash, idle for too long
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || pgconn.SafeToRetry(err)
}

// away reports that the database could not be reached or could not take the
// statement now.
func away(err error) bool {
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, net.ErrClosed) {
		return true
	}
	if err.Error() == "sql: database is closed" { // database/sql does not export it
		return true
	}
	var local *sqlite.Error
	if errors.As(err, &local) {
		switch local.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
			sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT:
			return true
		}
		return false
	}
	var remote *pgconn.PgError
	if errors.As(err, &remote) {
		// Classes of SQLSTATE: connection, resources, operator intervention,
		// system; and rollbacks that a repetition gets past.
		for _, class := range []string{"08", "53", "57", "58", "40", "55"} {
			if strings.HasPrefix(remote.Code, class) {
				return true
			}
		}
		return remote.Code == "25P03" // idle in transaction for too long
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || lost(err)
}
