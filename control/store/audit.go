package store

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

// auditKeyName is the secret under which rows of the audit log are chained. Who
// can write to the database but has no master key cannot make a chain that
// verifies.
const auditKeyName = "store/audit"

// AuditRecord says who did what to what.
type AuditRecord struct {
	Actor     string          `json:"actor"`  // "user usr_...", "token tok_...", "system reconciler"
	Action    string          `json:"action"` // "domain.create", "session.login"
	Target    string          `json:"target,omitempty"`
	Project   string          `json:"project_id,omitempty"` // "" for what concerns the platform
	Detail    json.RawMessage `json:"detail,omitempty"`     // a JSON document without secrets; nil: none
	RequestID string          `json:"request_id,omitempty"`
}

// AuditEntry is a record as the log keeps it.
type AuditEntry struct {
	AuditRecord
	Seq  int64     `json:"seq"` // 1, 2, 3, ... without a gap
	At   time.Time `json:"at"`
	Hash string    `json:"hash"` // covers the entry and the hash before it
}

// AuditQuery selects entries, newest first. Empty fields select all.
type AuditQuery struct {
	Project string
	Actor   string
	Action  string
	Limit   int // 0: 100; at most 1000
	Cursor  string
}

// AuditState is what VerifyAudit has found in order.
type AuditState struct {
	Entries int64  `json:"entries"`
	Head    string `json:"head"` // the last entry's hash: note it elsewhere to detect an exchange of the whole database
}

// Audit appends a record. Commits write theirs by themselves.
func (db *DB) Audit(ctx context.Context, record AuditRecord) error {
	if len(record.Detail) > 0 && !json.Valid(record.Detail) {
		return fault.InvalidField("/detail", "is not JSON", "encode it as one JSON document")
	}
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		return tx.audit(ctx, tx.db.now(), record)
	})
}

// audit appends a record in the same transaction as what it tells of.
func (tx *Tx) audit(ctx context.Context, at time.Time, record AuditRecord) error {
	key := tx.db.auditKey.Load()
	if key == nil {
		_, err := tx.db.keyring()
		return err
	}
	head, err := readAuditHead(ctx, tx)
	if err != nil {
		return err
	}
	record.Actor, record.Action, record.Target = clean(record.Actor), clean(record.Action), clean(record.Target)
	record.Project, record.RequestID = clean(record.Project), clean(record.RequestID)
	record.Detail = json.RawMessage(clean(string(record.Detail)))
	entry := AuditEntry{AuditRecord: record, Seq: head.seq + 1, At: at.UTC().Truncate(time.Microsecond)}
	hash := entry.chain(key, head.hash)
	if _, err := tx.exec(ctx, `INSERT INTO audit (seq, at, actor, action, target, project, detail, request_id, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		entry.Seq, micros(entry.At), entry.Actor, entry.Action, entry.Target, entry.Project, string(entry.Detail), entry.RequestID, hash); err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO audit_head (id, seq, hash, seal) VALUES (1, $1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, seal = excluded.seal`,
		entry.Seq, hash, sealHead(key, entry.Seq, hash))
	return err
}

// auditHead is the last entry's number and hash; zero for an empty log.
type auditHead struct {
	seq        int64
	hash, seal []byte
}

func readAuditHead(ctx context.Context, q querier) (head auditHead, err error) {
	err = q.queryRow(ctx, `SELECT seq, hash, seal FROM audit_head WHERE id = 1`).Scan(&head.seq, &head.hash, &head.seal)
	if errors.Is(err, sql.ErrNoRows) {
		return auditHead{}, nil
	}
	return head, err
}

// chain returns the hash of an entry that follows one with the hash before:
// HMAC-SHA-256 over both, each field preceded by its length.
func (e *AuditEntry) chain(key *[secrets.KeyBytes]byte, before []byte) []byte {
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte("edgewright audit entry v1\x00"))
	field := func(b []byte) {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		mac.Write(b)
	}
	field(before)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(e.Seq)))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(micros(e.At))))
	for _, text := range []string{e.Actor, e.Action, e.Target, e.Project, string(e.Detail), e.RequestID} {
		field([]byte(text))
	}
	return mac.Sum(nil)
}

// sealHead proves that the log once ended here.
func sealHead(key *[secrets.KeyBytes]byte, seq int64, hash []byte) []byte {
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte("edgewright audit head v1\x00"))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(seq)))
	mac.Write(hash)
	return mac.Sum(nil)
}

// AuditLog returns entries, newest first, and a cursor, "" at the end.
func (db *DB) AuditLog(ctx context.Context, q AuditQuery) ([]AuditEntry, string, error) {
	limit := pageSize(q.Limit, defaultPage, maxPage)
	where := conditions{}
	where.equal("project", q.Project)
	where.equal("actor", q.Actor)
	where.equal("action", q.Action)
	if q.Cursor != "" {
		before, err := strconv.ParseInt(q.Cursor, 10, 64)
		if err != nil {
			return nil, "", fault.InvalidField("/cursor", "is not one that this list gave out", "begin again without a cursor")
		}
		where.add("seq < ", before)
	}
	args := append(where.args, limit+1)
	entries := []AuditEntry{}
	err := eachAuditEntry(ctx, db, where.text()+` ORDER BY seq DESC LIMIT $`+strconv.Itoa(len(args)), args, func(e AuditEntry, hash []byte) error {
		e.Hash = hex.EncodeToString(hash)
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, "", wrap("reading the audit log", err)
	}
	if len(entries) <= limit {
		return entries, "", nil
	}
	return entries[:limit], strconv.FormatInt(entries[limit-1].Seq, 10), nil
}

// VerifyAudit recomputes the chain of the whole log. Conflict says at which
// entry it was tampered with: changed, removed, added or cut off at the end. It
// cannot notice that the whole database was put back to an earlier state; that
// shows when the Head noted elsewhere is not in the log any more.
func (db *DB) VerifyAudit(ctx context.Context) (AuditState, error) {
	key := db.auditKey.Load()
	if key == nil {
		_, err := db.keyring()
		return AuditState{}, err
	}
	var state AuditState
	err := db.snapshot(ctx, func(q querier) error {
		head, err := readAuditHead(ctx, q)
		if err != nil {
			return err
		}
		var before []byte
		err = eachAuditEntry(ctx, q, ` ORDER BY seq`, nil, func(e AuditEntry, hash []byte) error {
			if e.Seq != state.Entries+1 {
				return tampered("entry %d is missing", state.Entries+1)
			}
			if !hmac.Equal(hash, e.chain(key, before)) {
				return tampered("entry %d is not what was written", e.Seq)
			}
			state.Entries, before = e.Seq, bytes.Clone(hash)
			return nil
		})
		if err != nil {
			return err
		}
		if head.seq != state.Entries || !bytes.Equal(head.hash, before) {
			return tampered("it has %d entries, but %d were written", state.Entries, head.seq)
		}
		if head.seq > 0 && !hmac.Equal(head.seal, sealHead(key, head.seq, head.hash)) {
			return tampered("the mark of its end was changed")
		}
		state.Head = hex.EncodeToString(before)
		return nil
	})
	return state, err
}

func tampered(format string, args ...any) error {
	return fault.New(fault.Conflict, "the audit log was tampered with: "+format+"; compare with a backup", args...)
}

func eachAuditEntry(ctx context.Context, q querier, rest string, args []any, fn func(e AuditEntry, hash []byte) error) error {
	rows, err := q.query(ctx, `SELECT seq, at, actor, action, target, project, detail, request_id, hash FROM audit`+rest, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var e AuditEntry
		var at int64
		var hash []byte
		if err := rows.Scan(&e.Seq, &at, &e.Actor, &e.Action, &e.Target, &e.Project, (*[]byte)(&e.Detail), &e.RequestID, &hash); err != nil {
			return err
		}
		e.At = fromMicros(at)
		if len(e.Detail) == 0 {
			e.Detail = nil
		}
		if err := fn(e, hash); err != nil {
			return err
		}
	}
	return rows.Err()
}

// loadAuditKey reads the key of the chain, or makes the first one. Without a
// keyring there is none, and no audit record can be written.
func (db *DB) loadAuditKey(ctx context.Context) error {
	db.auditKey.Store(nil)
	if db.keys == nil {
		return nil
	}
	raw, err := db.Secret(ctx, auditKeyName)
	if fault.Is(err, fault.NotFound) {
		err = db.write(ctx, func(ctx context.Context, tx *Tx) (err error) {
			raw, err = db.secret(ctx, tx, auditKeyName) // another control plane may have been first
			if !fault.Is(err, fault.NotFound) {
				return err
			}
			fresh := secrets.NewGroupKey()
			raw = fresh[:]
			return tx.putSecret(ctx, auditKeyName, raw)
		})
	}
	if err != nil {
		return err
	}
	if len(raw) != secrets.KeyBytes {
		return fault.New(fault.Internal, "the audit key has %d bytes", len(raw))
	}
	key := [secrets.KeyBytes]byte(raw)
	db.auditKey.Store(&key)
	return nil
}
