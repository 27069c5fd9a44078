package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// A backup is lines of JSON:
//
//	{"format":"edgewright-backup","version":1,...}          dumpHeader
//	{"table":"resources","columns":[{"name","type"},...]}   dumpTable, for each table
//	["dom_...","domain",...]                                its rows; bytes are base64
//	{"end":true,"rows":N,"sha256":"..."}                    dumpTrailer, over all bytes before it
//
// It is the same for both databases, so that it moves data from one to the
// other, and secrets stay sealed in it under the master key, which it does not
// hold.
const (
	dumpFormat  = "edgewright-backup"
	dumpVersion = 1
)

type dumpHeader struct {
	Format     string    `json:"format"`
	Version    int       `json:"version"`
	CreatedAt  time.Time `json:"created_at"`
	Migrations []int64   `json:"migrations"` // in the order they were applied
}

type dumpTable struct {
	Table   string       `json:"table"`
	Columns []dumpColumn `json:"columns"`
}

type dumpColumn struct {
	Name string     `json:"name"`
	Type columnType `json:"type"`
}

type dumpTrailer struct {
	End    bool   `json:"end"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

// columnType is a column's type as both databases understand it.
type columnType string

const (
	columnInt   columnType = "int"
	columnText  columnType = "text"
	columnBytes columnType = "bytes"
	columnFloat columnType = "float"
	columnBool  columnType = "bool"
)

// columnTypes translates the databases' names of types.
var columnTypes = map[string]columnType{
	"INTEGER": columnInt, "BIGINT": columnInt, "INT": columnInt, "SMALLINT": columnInt, "INT8": columnInt, "INT4": columnInt, "INT2": columnInt,
	"TEXT": columnText, "VARCHAR": columnText,
	"BLOB": columnBytes, "BYTEA": columnBytes,
	"REAL": columnFloat, "DOUBLE PRECISION": columnFloat, "FLOAT8": columnFloat, "FLOAT4": columnFloat,
	"BOOLEAN": columnBool, "BOOL": columnBool,
}

// Backup writes everything the store holds, as it is at one moment, while it is
// in use. w must keep up: on SQLite the log of writes cannot shrink meanwhile.
func (db *DB) Backup(ctx context.Context, w io.Writer) error {
	sum := sha256.New()
	buffer := bufio.NewWriterSize(w, 64<<10)
	out := &dumpWriter{lines: json.NewEncoder(io.MultiWriter(buffer, sum))}
	out.lines.SetEscapeHTML(false)
	err := db.snapshot(ctx, func(q querier) error {
		versions, err := appliedMigrations(ctx, q)
		if err != nil {
			return err
		}
		if err := out.write(dumpHeader{dumpFormat, dumpVersion, db.now().UTC().Truncate(time.Second), versions}); err != nil {
			return err
		}
		tables, err := db.tables(ctx, q)
		if err != nil {
			return err
		}
		for _, table := range tables {
			if err := out.table(ctx, q, table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	trailer := dumpTrailer{End: true, Rows: out.rows, SHA256: hex.EncodeToString(sum.Sum(nil))}
	if err := out.write(trailer); err != nil {
		return err
	}
	if err := buffer.Flush(); err != nil {
		return fault.New(fault.Unavailable, "the backup cannot be written: %w", err)
	}
	return nil
}

type dumpWriter struct {
	lines *json.Encoder
	rows  int64
}

func (d *dumpWriter) write(line any) error {
	if err := d.lines.Encode(line); err != nil {
		return fault.New(fault.Unavailable, "the backup cannot be written: %w", err)
	}
	return nil
}

func (d *dumpWriter) table(ctx context.Context, q querier, name string) error {
	rows, err := q.query(ctx, `SELECT * FROM `+name)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := columnsOf(name, rows)
	if err != nil {
		return err
	}
	if err := d.write(dumpTable{name, columns}); err != nil {
		return err
	}
	cells := make([]any, len(columns))
	for i, column := range columns {
		cells[i] = newCell(column.Type)
	}
	for rows.Next() {
		if err := rows.Scan(cells...); err != nil {
			return err
		}
		row := make([]any, len(cells))
		for i, cell := range cells {
			row[i] = cellValue(cell)
		}
		if err := d.write(row); err != nil {
			return err
		}
		d.rows++
	}
	return rows.Err()
}

// tables lists the tables that a backup holds.
func (db *DB) tables(ctx context.Context, q querier) ([]string, error) {
	rows, err := q.query(ctx, db.dialect.tables)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		if name != migrationTable {
			names = append(names, name)
		}
	}
	return names, rows.Err()
}

func columnsOf(table string, rows *sql.Rows) ([]dumpColumn, error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	columns := make([]dumpColumn, len(types))
	for i, t := range types {
		typ, known := columnTypes[strings.ToUpper(t.DatabaseTypeName())]
		if !known {
			return nil, fault.New(fault.Internal, "the column %s.%s has the type %s, which no backup can hold", table, t.Name(), t.DatabaseTypeName())
		}
		columns[i] = dumpColumn{t.Name(), typ}
	}
	return columns, nil
}

func newCell(t columnType) any {
	switch t {
	case columnInt:
		return new(sql.Null[int64])
	case columnBytes:
		return new(sql.Null[[]byte])
	case columnFloat:
		return new(sql.Null[float64])
	case columnBool:
		return new(sql.Null[bool])
	default:
		return new(sql.Null[string])
	}
}

// cellValue returns what a cell holds for JSON, nil for NULL.
func cellValue(cell any) any {
	switch c := cell.(type) {
	case *sql.Null[int64]:
		if c.Valid {
			return c.V
		}
	case *sql.Null[string]:
		if c.Valid {
			return c.V
		}
	case *sql.Null[[]byte]:
		if c.Valid {
			return append([]byte{}, c.V...) // base64; not nil, which would be NULL
		}
	case *sql.Null[float64]:
		if c.Valid {
			return c.V
		}
	case *sql.Null[bool]:
		if c.Valid {
			return c.V
		}
	}
	return nil
}

// maxDumpLine bounds a line of a backup, in bytes.
const maxDumpLine = 64 << 20

// dumpReader receives a backup's parts in order.
type dumpReader interface {
	header(h dumpHeader) error
	table(t dumpTable) error
	row(t dumpTable, values []any) error
}

// readDump checks a backup's form and its checksum; what was received counts
// only when it returns nil.
func readDump(r io.Reader, to dumpReader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxDumpLine)
	sum := sha256.New()
	var table *dumpTable
	var rows int64
	for number := 1; lines.Scan(); number++ {
		line := lines.Bytes()
		if number == 1 {
			var h dumpHeader
			if err := json.Unmarshal(line, &h); err != nil || h.Format != dumpFormat {
				return fault.New(fault.Invalid, "this is not an Edgewright backup: give a file that `edgewright backup` wrote")
			}
			if h.Version != dumpVersion {
				return fault.New(fault.Invalid, "the backup has format version %d, this Edgewright reads %d: use the version that wrote it, or a newer one", h.Version, dumpVersion)
			}
			if err := to.header(h); err != nil {
				return err
			}
		} else if bytes.HasPrefix(line, []byte("[")) {
			if table == nil {
				return damagedDump(number, nil)
			}
			values, err := decodeRow(line, *table)
			if err != nil {
				return damagedDump(number, err)
			}
			if err := to.row(*table, values); err != nil {
				return err
			}
			rows++
		} else {
			var part struct {
				dumpTable
				dumpTrailer
			}
			if err := json.Unmarshal(line, &part); err != nil {
				return damagedDump(number, err)
			}
			if part.End {
				if part.Rows != rows || part.SHA256 != hex.EncodeToString(sum.Sum(nil)) {
					return fault.New(fault.Invalid, "the backup does not match its checksum: it was changed or damaged; use another copy")
				}
				if lines.Scan() {
					return damagedDump(number+1, nil)
				}
				return wrapDump(lines.Err())
			}
			if part.Table == "" || len(part.Columns) == 0 {
				return damagedDump(number, nil)
			}
			table = &part.dumpTable
			if err := to.table(*table); err != nil {
				return err
			}
		}
		sum.Write(line)
		sum.Write([]byte{'\n'})
	}
	if err := lines.Err(); err != nil {
		return wrapDump(err)
	}
	return fault.New(fault.Invalid, "the backup is cut short: its last line is missing; use another copy")
}

func wrapDump(err error) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.Unavailable, "the backup cannot be read: %w", err)
}

func damagedDump(line int, err error) error {
	if err == nil {
		return fault.New(fault.Invalid, "the backup is damaged at line %d; use another copy", line)
	}
	return fault.New(fault.Invalid, "the backup is damaged at line %d; use another copy: %w", line, err)
}

// decodeRow returns a row's values as the databases take them.
func decodeRow(line []byte, t dumpTable) ([]any, error) {
	var cells []json.RawMessage
	if err := json.Unmarshal(line, &cells); err != nil {
		return nil, err
	}
	if len(cells) != len(t.Columns) {
		return nil, fault.New(fault.Invalid, "%d values for %d columns", len(cells), len(t.Columns))
	}
	values := make([]any, len(cells))
	for i, cell := range cells {
		if string(cell) == "null" {
			continue
		}
		var err error
		switch t.Columns[i].Type {
		case columnInt:
			values[i], err = decodeCell[int64](cell)
		case columnText:
			values[i], err = decodeCell[string](cell)
		case columnBytes:
			values[i], err = decodeCell[[]byte](cell)
		case columnFloat:
			values[i], err = decodeCell[float64](cell)
		case columnBool:
			values[i], err = decodeCell[bool](cell)
		default:
			err = fault.New(fault.Invalid, "the column type %q is unknown", t.Columns[i].Type)
		}
		if err != nil {
			return nil, err
		}
	}
	return values, nil
}

func decodeCell[T any](cell json.RawMessage) (any, error) {
	var v T
	err := json.Unmarshal(cell, &v)
	return v, err
}

// sameMigrations reports that two databases have the same schema.
func sameMigrations(a, b []int64) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
