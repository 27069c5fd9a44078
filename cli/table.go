package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table prints rows in aligned columns.
type table struct {
	ink  ink
	head []string
	rows [][]cell
}

// cell is text and how it is coloured; paint nil is plain.
type cell struct {
	text  string
	paint func(string) string
}

func (a *app) table(head ...string) *table { return &table{ink: a.ink, head: head} }

// row adds a row. Columns are strings or cells; anything else is formatted.
func (t *table) row(columns ...any) {
	row := make([]cell, len(columns))
	for i, c := range columns {
		switch c := c.(type) {
		case cell:
			row[i] = c
		case string:
			row[i] = cell{text: c}
		default:
			row[i] = cell{text: fmt.Sprint(c)}
		}
		row[i].text = clean(row[i].text)
		if row[i].text == "" {
			row[i] = cell{text: "-", paint: t.ink.dim}
		}
	}
	t.rows = append(t.rows, row)
}

// state is a cell that is coloured by its word.
func (t *table) state(word string) cell { return cell{text: word, paint: t.ink.state} }

// dim is a cell of little weight.
func (t *table) dim(text string) cell { return cell{text: text, paint: t.ink.dim} }

func (t *table) print(w io.Writer) {
	widths := make([]int, len(t.head))
	for i, h := range t.head {
		widths[i] = utf8.RuneCountInString(h)
	}
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	var b strings.Builder
	line := func(row []cell) {
		var l strings.Builder
		for i, c := range row {
			text := c.text
			pad := widths[i] - utf8.RuneCountInString(text)
			if c.paint != nil {
				text = c.paint(text)
			}
			l.WriteString(text)
			if i < len(row)-1 {
				l.WriteString(strings.Repeat(" ", pad+2))
			}
		}
		b.WriteString(strings.TrimRight(l.String(), " "))
		b.WriteByte('\n')
	}
	head := make([]cell, len(t.head))
	for i, h := range t.head {
		head[i] = cell{text: h, paint: t.ink.dim}
	}
	line(head)
	for _, row := range t.rows {
		line(row)
	}
	_, _ = io.WriteString(w, b.String())
}

// pairs prints "name  value" lines, names aligned. Empty values are left out.
type pairs struct {
	ink  ink
	list [][2]string
}

func (a *app) pairs() *pairs { return &pairs{ink: a.ink} }

// add takes a value that is clean text.
func (p *pairs) add(name, value string) { p.styled(name, clean(value)) }

// styled takes a value that may hold styles, and no foreign text that was not
// cleaned.
func (p *pairs) styled(name, value string) {
	if value != "" {
		p.list = append(p.list, [2]string{name, value})
	}
}

func (p *pairs) print(w io.Writer) {
	width := 0
	for _, pair := range p.list {
		width = max(width, len(pair[0]))
	}
	for _, pair := range p.list {
		fmt.Fprintf(w, "%s%s  %s\n", p.ink.dim(pair[0]), strings.Repeat(" ", width-len(pair[0])), pair[1])
	}
}
