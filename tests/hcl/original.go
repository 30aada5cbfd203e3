// SPDX-License-Identifier: MIT
//
// Reads texts with the original, github.com/hashicorp/hcl version 1, and prints what
// tests/hcl/tree.c prints for src/hcl.c: a line of JSON for each, or `error` and why.
// Standard input: for each text its length in bytes, a newline, and the text.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/hashicorp/hcl"
	"github.com/hashicorp/hcl/hcl/ast"
)

type printer struct {
	out  bytes.Buffer
	text []byte // as the original's places count it, CRLF made LF
	json bool
}

// What is not printable ASCII, as well as ", \ and %, becomes %XX.
func (p *printer) str(s string) {
	p.out.WriteByte('"')
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c > 0x7e || strings.IndexByte(`"\%`, c) >= 0 {
			fmt.Fprintf(&p.out, "%%%02X", c)
		} else {
			p.out.WriteByte(c)
		}
	}
	p.out.WriteByte('"')
}

// Columns in bytes; the original counts characters. JSON has no places there.
func (p *printer) place(offset int) {
	before := p.text[:offset]
	line := bytes.Count(before, []byte("\n")) + 1
	fmt.Fprintf(&p.out, `"at":"%d:%d",`, line, offset-bytes.LastIndexByte(before, '\n'))
}

func (p *printer) item(item *ast.ObjectItem) {
	_, block := item.Val.(*ast.ObjectType)
	assigned := item.Assign.IsValid()
	if p.json {
		assigned = !block
	}
	p.out.WriteString(`{"keys":[`)
	for i, key := range item.Keys {
		if i > 0 {
			p.out.WriteByte(',')
		}
		p.str(key.Token.Value().(string))
	}
	fmt.Fprintf(&p.out, `],"assigned":%t,`, assigned)
	if !p.json {
		p.place(item.Keys[0].Pos().Offset)
	}
	p.out.WriteString(`"value":`)
	p.node(item.Val)
	p.out.WriteByte('}')
}

// Version 1.0.1-vault-7, which Vault uses, refuses an argument that is set twice; 1.0.0, which
// Debian packages, does not. Arguments are told apart as written.
func (p *printer) refuseRepetition(list *ast.ObjectList) {
	seen := map[string]bool{}
	for _, item := range list.Items {
		if !item.Assign.IsValid() || p.json {
			continue
		}
		key := item.Keys[0].Token.Text
		if seen[key] {
			panic("The argument " + key + " was already set")
		}
		seen[key] = true
	}
}

func (p *printer) list(list *ast.ObjectList) {
	p.refuseRepetition(list)
	p.out.WriteString(`{"items":[`)
	for i, item := range list.Items {
		if i > 0 {
			p.out.WriteByte(',')
		}
		p.item(item)
	}
	p.out.WriteString("]}")
}

func (p *printer) literal(value interface{}) {
	switch value := value.(type) {
	case string:
		p.str(value)
	case float64:
		fmt.Fprintf(&p.out, `{"real":"%016x"}`, math.Float64bits(value))
	default:
		fmt.Fprint(&p.out, value)
	}
}

func (p *printer) node(node ast.Node) {
	switch node := node.(type) {
	case *ast.ObjectList:
		p.list(node)
	case *ast.ObjectType:
		p.list(node.List)
	case *ast.ListType:
		p.out.WriteByte('[')
		for i, element := range node.List {
			if i > 0 {
				p.out.WriteByte(',')
			}
			p.node(element)
		}
		p.out.WriteByte(']')
	case *ast.LiteralType:
		p.literal(node.Token.Value())
	default:
		panic(fmt.Sprintf("a node of type %T", node))
	}
}

// The original panics where a token has a form that its value has not, such as 08.
func read(text []byte) (line string, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%v", fault)
		}
	}()
	file, err := hcl.ParseBytes(text)
	if err != nil {
		return "", err
	}
	p := printer{text: bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))}
	p.json = bytes.HasPrefix(bytes.TrimLeft(text, " \t\n\v\f\r"), []byte("{"))
	p.node(file.Node)
	return p.out.String(), nil
}

func main() {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		var length int
		if _, err := fmt.Fscanf(in, "%d\n", &length); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			panic(err)
		}
		text := make([]byte, length)
		if _, err := io.ReadFull(in, text); err != nil {
			panic(err)
		}
		if line, err := read(text); err != nil {
			fmt.Fprintf(out, "error %+q\n", err.Error())
		} else {
			fmt.Fprintln(out, line)
		}
	}
	if err := out.Flush(); err != nil {
		panic(err)
	}
}
