package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/edgewright/edgewright/control/store"
)

// install is what to do when there is no PostgreSQL.
const install = "PostgreSQL's server was not found: run `apt-get install -y --no-install-recommends postgresql`, or set EDGEWRIGHT_TEST_POSTGRES to the URL of a server"

const superuser = "edgewright"

// elsewhere is the URL of a server that outlasts the tests.
func elsewhere() string { return os.Getenv("EDGEWRIGHT_TEST_POSTGRES") }

// server starts the one server of this test binary, at the first call.
var server = sync.OnceValues(func() (*url.URL, error) {
	if dsn := elsewhere(); dsn != "" {
		return url.Parse(dsn)
	}
	return startServer()
})

var databases atomic.Int64

// PostgresDSN makes an empty database, dropped when the test ends.
func PostgresDSN(t testing.TB) string {
	t.Helper()
	return postgresFrom(t, "template1")
}

// MigratedPostgresDSN is PostgresDSN with the schema made; where nobody would
// take the copied database away, opening it makes the schema.
func MigratedPostgresDSN(t testing.TB) string {
	t.Helper()
	if elsewhere() != "" {
		return PostgresDSN(t)
	}
	template, err := migratedPostgres()
	if err != nil {
		t.Fatalf("migrating a database: %v", err)
	}
	return postgresFrom(t, template)
}

// migratedPostgres is a database that holds nothing but the schema, to be copied.
var migratedPostgres = sync.OnceValues(func() (name string, err error) {
	base, err := server()
	if err != nil {
		return "", err
	}
	name = fmt.Sprintf("edgewright_test_%d_migrated", os.Getpid())
	if err := administer(base, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	return name, store.Migrate(context.Background(), database(base, name))
})

// database names one of a server's databases.
func database(server *url.URL, name string) string {
	own := *server
	own.Path = "/" + name
	return own.String()
}

func postgresFrom(t testing.TB, template string) string {
	t.Helper()
	base, err := server()
	if err != nil {
		t.Fatalf("starting PostgreSQL: %v", err)
	}
	name := fmt.Sprintf("edgewright_test_%d_%d", os.Getpid(), databases.Add(1))
	if err := administer(base, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatalf("creating a database: %v", err)
	}
	t.Cleanup(func() {
		if err := administer(base, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("dropping a database: %v", err)
		}
	})
	return database(base, name)
}

// Size returns how many bytes a database takes on disk.
func Size(t testing.TB, dsn string) (bytes int64) {
	t.Helper()
	if path, ok := strings.CutPrefix(dsn, "sqlite://"); ok {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, "SELECT pg_database_size(current_database())").Scan(&bytes); err != nil {
		t.Fatal(err)
	}
	return bytes
}

func administer(base *url.URL, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, base.String())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

// startServer makes a cluster in a temporary directory and starts it, as a user
// who is not root (PostgreSQL refuses root).
func startServer() (*url.URL, error) {
	binaries, err := findBinaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "edgewright-postgres-")
	if err != nil {
		return nil, err
	}
	attributes := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() == 0 {
		uid, gid, err := unprivileged()
		if err != nil {
			return nil, err
		}
		attributes.Credential = &syscall.Credential{Uid: uid, Gid: gid}
		if err := os.Chown(dir, int(uid), int(gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(binaries, "initdb"), "--no-sync", "--no-instructions",
		"-D", data, "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
	initdb.Dir, initdb.SysProcAttr = dir, attributes
	if output, err := initdb.CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("initdb: %w\n%s", err, output)
	}
	if err := supervise(filepath.Join(binaries, "postgres"), dir, data, attributes); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	base := &url.URL{
		Scheme: "postgres", User: url.User(superuser), Path: "/postgres",
		RawQuery: url.Values{"host": {dir}, "sslmode": {"disable"}}.Encode(),
	}
	return base, waitReady(base, filepath.Join(dir, "log"))
}

// supervise starts the server below a shell that reads a pipe whose other end
// this process holds. However this process ends, the pipe closes, and the shell
// stops the server and removes the directory.
func supervise(postgres, dir, data string, attributes *syscall.SysProcAttr) error {
	const script = `"$1" -D "$3" -k "$2" -c listen_addresses= -c fsync=off -c full_page_writes=off \
		-c shared_buffers=16MB -c max_connections=60 -c max_wal_size=128MB -c autovacuum=off >"$2/log" 2>&1 </dev/null &
		server=$!
		cat >/dev/null
		kill -QUIT $server
		wait $server
		cd /
		rm -rf "$2"`
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	shell := exec.Command("/bin/sh", "-c", script, "sh", postgres, dir, data)
	shell.Dir, shell.SysProcAttr, shell.Stdin = dir, attributes, read
	if err := shell.Start(); err != nil {
		write.Close()
		return err
	}
	lifeline = write
	return nil
}

// lifeline keeps the write end open for as long as the process lives: the
// garbage collector closes files that nothing refers to.
var lifeline *os.File

func waitReady(base *url.URL, log string) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := administer(base, "SELECT 1")
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			output, _ := os.ReadFile(log)
			lifeline.Close()
			return errors.Join(err, errors.New(string(output)))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// findBinaries returns the directory of initdb and postgres: the newest of
// Debian's, which are not in PATH, or that in PATH.
func findBinaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	sort.Slice(found, func(i, j int) bool { return majorVersion(found[i]) > majorVersion(found[j]) })
	if len(found) > 0 {
		return filepath.Dir(found[0]), nil
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(initdb), nil
	}
	return "", errors.New(install)
}

func majorVersion(initdb string) int {
	n, _ := strconv.Atoi(strings.Split(strings.TrimPrefix(initdb, "/usr/lib/postgresql/"), "/")[0])
	return n
}

// unprivileged returns a user to run the server as.
func unprivileged() (uid, gid uint32, err error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, lookup := user.Lookup(name)
		if lookup != nil {
			err = lookup
			continue
		}
		id, errUID := strconv.ParseUint(u.Uid, 10, 32)
		group, errGID := strconv.ParseUint(u.Gid, 10, 32)
		return uint32(id), uint32(group), errors.Join(errUID, errGID)
	}
	return 0, 0, err
}
