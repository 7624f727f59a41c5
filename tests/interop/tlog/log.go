// Verifies an exported log by the libraries of others, from the description of the file alone.
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tolerance = 120

type description struct {
	Format      string `json:"format"`
	Version     int    `json:"version"`
	ChainBegins string `json:"chain_begins"`
	Keys        []struct {
		Key       string `json:"key"`
		Announced []byte `json:"announced"`
	} `json:"keys"`
}

type chained struct {
	Sequence int64  `json:"sequence"`
	Content  string `json:"content"`
	Previous string `json:"previous"`
	Hash     string `json:"hash"`
}

type facts struct {
	At    string            `json:"at"`
	Event string            `json:"event"`
	IDs   map[string]string `json:"ids"`
}

type checkpoint struct {
	size             int64
	root             tlog.Hash
	after, witnessed int64 // 0 where no witness saw it, and where too few did
	accepted         bool
	fault            bool
}

type class struct {
	count, first, last, kept int64
	through, decided         int64
	decision                 int64
}

// exported is a log that is being verified.
type exported struct {
	policy   torchwood.Policy
	now      int64
	known    []tlog.Tree
	begun    string // hash of the chain's end, in hex
	chain    int64
	first    int64
	hashes   storage
	size     int64
	waiting  []checkpoint
	accepted checkpoint
	before   int64 // time that no later entry is older than
	wrong    int64
	stopped  bool
	classes  map[byte]*class
}

var errMalformed = errors.New("malformed")

func verifyLog(r *request) (*answer, error) {
	parts, err := unpack(r.Folder)
	if err != nil {
		return nil, err
	}
	l := &exported{now: r.Now, classes: map[byte]*class{}}
	if err := l.describe(parts, r); err != nil {
		return nil, err
	}
	rest := parts[1:]
	for len(rest) > 0 && strings.HasPrefix(rest[0].name, "stamps/") {
		rest = rest[1:] // Time stamps, which openssl ts verifies.
	}
	for len(rest) > 0 && strings.HasPrefix(rest[0].name, "chain/") && !l.stopped {
		if err := l.page(rest[0].data); err != nil {
			return nil, err
		}
		rest = rest[1:]
	}
	for len(rest) > 0 && !l.stopped {
		if strings.HasPrefix(rest[0].name, "checkpoints/") {
			if err := l.checkpoints(rest[0].data); err != nil {
				return nil, err
			}
			rest = rest[1:]
		}
		if len(rest) < 2 || !strings.HasPrefix(rest[0].name, "tile/entries/") || !strings.HasPrefix(rest[1].name, "facts/") {
			return nil, errMalformed
		}
		if err := l.bundle(rest[0].data, rest[1].data); err != nil {
			return nil, err
		}
		rest = rest[2:]
	}
	if !l.stopped {
		l.end()
	}
	root := l.accepted.root
	found := &answer{Verdict: "holds", Size: l.accepted.size, Root: root[:], Number: l.wrong}
	if l.wrong != 0 {
		found.Verdict = "wrong"
	}
	return found, nil
}

type part struct {
	name string
	data []byte
}

func unpack(path string) ([]part, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var parts []part
	reader := tar.NewReader(file)
	for {
		header, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(reader)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{header.Name, data})
	}
	if len(parts) == 0 || parts[0].name != "log.json" {
		return nil, errMalformed
	}
	return parts, nil
}

// describe reads the description, and has the policy know the keys that lead from its own.
func (l *exported) describe(parts []part, r *request) error {
	var d description
	if err := json.Unmarshal(parts[0].data, &d); err != nil {
		return err
	}
	if d.Format != "samdrift log" || (d.Version != 1 && d.Version != 2) {
		return errMalformed
	}
	l.begun = d.ChainBegins
	text := r.Policy
	for {
		var err error
		if l.policy, err = anyLog(text); err != nil {
			return err
		}
		more := false
		for _, each := range d.Keys {
			if bytes.Contains(text, []byte("log "+each.Key+"\n")) {
				continue
			}
			for _, line := range strings.Split(string(text), "\n") {
				former, is := strings.CutPrefix(line, "log ")
				if !is || strings.SplitN(former, "+", 2)[0] != strings.SplitN(each.Key, "+", 2)[0] {
					continue
				}
				verifier, err := note.NewVerifier(former)
				if err == nil && verifier.Verify([]byte("samdrift log key v1\n"+each.Key+"\n"), each.Announced) {
					text = append([]byte("log "+each.Key+"\n"), text...)
					more = true
					break
				}
			}
		}
		if !more {
			break
		}
	}
	for _, content := range r.Known {
		n, err := note.Open(content, l.policy)
		if err != nil {
			return err
		}
		c, err := torchwood.ParseCheckpoint(n.Text)
		if err != nil {
			return err
		}
		l.known = append(l.known, c.Tree)
	}
	return nil
}

// anyOf is satisfied where one of the policies is: torchwood wants a signature of every log in a file.
type anyOf []torchwood.Policy

func anyLog(text []byte) (torchwood.Policy, error) {
	var logs, rest []string
	for _, line := range strings.SplitAfter(string(text), "\n") {
		if strings.HasPrefix(line, "log ") {
			logs = append(logs, line)
		} else {
			rest = append(rest, line)
		}
	}
	var found anyOf
	for _, line := range logs {
		policy, err := torchwood.ParsePolicy([]byte(line + strings.Join(rest, "")))
		if err != nil {
			return nil, err
		}
		found = append(found, policy)
	}
	return found, nil
}

func (a anyOf) Check(origin string, sigs []note.Signature) error {
	err := errMalformed
	for _, each := range a {
		if err = each.Check(origin, sigs); err == nil {
			return nil
		}
	}
	return err
}

func (a anyOf) Verifier(name string, hash uint32) (note.Verifier, error) {
	for _, each := range a {
		if v, err := each.Verifier(name, hash); err == nil {
			return v, nil
		}
	}
	return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
}

func (l *exported) page(data []byte) error {
	for _, line := range bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) {
		var e chained
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		previous, err := hex.DecodeString(e.Previous)
		if err != nil {
			return err
		}
		content := append(binary.BigEndian.AppendUint64(previous, uint64(e.Sequence)), e.Content...)
		sum := sha256.Sum256(content)
		if e.Sequence != l.chain+1 || e.Previous != l.begun || e.Hash != hex.EncodeToString(sum[:]) {
			l.stop(l.chain + 1)
			return nil
		}
		l.chain, l.begun = e.Sequence, e.Hash
	}
	return nil
}

func (l *exported) checkpoints(data []byte) error {
	notes, err := records(data)
	if err != nil {
		return err
	}
	for _, content := range notes {
		stated, err := l.open(content)
		if err != nil {
			return err
		}
		l.waiting = append(l.waiting, stated)
	}
	return nil
}

// open reads a checkpoint; one that does not hold waits as a fault until its entries have come.
func (l *exported) open(content []byte) (checkpoint, error) {
	n, err := note.Open(content, l.policy)
	if err != nil {
		if verdict(err).Verdict != "wrong" {
			return checkpoint{}, err
		}
		text, _, _ := strings.Cut(string(content), "\n\n")
		c, err := torchwood.ParseCheckpoint(text + "\n")
		return l.faulty(c.N), err
	}
	c, err := torchwood.ParseCheckpoint(n.Text)
	if err != nil {
		return checkpoint{}, err
	}
	var logs, witnesses []note.Signature
	for _, each := range n.Sigs {
		raw, err := base64.StdEncoding.DecodeString(each.Base64)
		if err != nil {
			return checkpoint{}, err
		}
		if len(raw) == 4+64 {
			logs = append(logs, each)
		} else if t, err := torchwood.CosignatureTimestamp(each); err == nil && t <= l.now+tolerance {
			witnesses = append(witnesses, each)
		}
	}
	last := l.accepted
	for _, each := range l.waiting {
		if !each.fault {
			last = each
		}
	}
	if len(logs) == 0 || c.N < last.size || (c.N == last.size && last.size > 0 && c.Hash != last.root) {
		return l.faulty(c.N), nil
	}
	if c.N <= l.size {
		return checkpoint{}, errMalformed
	}
	at := func(s note.Signature) int64 { t, _ := torchwood.CosignatureTimestamp(s); return t }
	slices.SortStableFunc(witnesses, func(a, b note.Signature) int { return int(at(a) - at(b)) })
	stated := checkpoint{size: c.N, root: c.Hash}
	if len(witnesses) > 0 {
		stated.after = at(witnesses[0])
	}
	for seen := 0; seen <= len(witnesses); seen++ {
		if l.policy.Check(c.Origin, append(slices.Clone(logs), witnesses[:seen]...)) == nil {
			stated.accepted = true
			if seen > 0 {
				stated.witnessed = at(witnesses[seen-1])
			}
			break
		}
	}
	return stated, nil
}

func (l *exported) faulty(size int64) checkpoint {
	size = max(size, l.size+1)
	for _, each := range l.waiting {
		size = max(size, each.size)
	}
	return checkpoint{size: size, fault: true}
}

func (l *exported) bundle(data, beside []byte) error {
	var entries [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return errMalformed
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries, data = append(entries, data[2:end]), data[end:]
	}
	kept, err := records(beside)
	if err != nil || len(kept) != len(entries) {
		return errMalformed
	}
	for place, entry := range entries {
		l.entry(entry, kept[place])
		if l.stopped {
			return nil
		}
		added, err := tlog.StoredHashes(l.size, entry, l.hashes)
		if err != nil {
			return err
		}
		l.hashes = append(l.hashes, added...)
		l.size++
		if err := l.reach(); err != nil || l.stopped {
			return err
		}
	}
	return nil
}

func (l *exported) entry(entry, record []byte) {
	if len(entry) == 0 || entry[0] != 2 || len(entry) != 42 {
		if l.size == 0 {
			l.stop(1)
		}
		return
	}
	number := int64(binary.BigEndian.Uint64(entry[1:9]))
	var f facts
	if len(record) > 16 {
		_ = json.Unmarshal(record[16:], &f)
	}
	if l.size == 0 {
		l.first = number
		if f.Event != "log:tree:begun" || f.IDs["entries"] != strconv.FormatInt(l.chain, 10) || f.IDs["head"] != l.begun {
			l.stop(1)
			return
		}
		if number != l.chain+1 {
			l.stop(l.chain + 1)
			return
		}
		if begun, err := time.Parse(time.RFC3339Nano, f.At); err == nil {
			l.before = begun.Unix()
		}
	}
	place := l.first + l.size
	if number != place {
		l.note(place)
		return
	}
	c := l.classes[entry[9]]
	if c == nil {
		c = &class{}
		l.classes[entry[9]] = c
	}
	if len(record) == 0 {
		if entry[9] == 0 || c.kept != 0 {
			l.note(number)
		}
		if c.first == 0 {
			c.first = number
		}
		c.last = number
		c.count++
		return
	}
	sum := sha256.Sum256(record)
	if !bytes.Equal(sum[:], entry[10:]) {
		l.note(number)
		return
	}
	if c.kept == 0 {
		c.kept = number
	}
	if at, err := time.Parse(time.RFC3339Nano, f.At); err != nil || !l.within(at) {
		l.note(number)
	}
	if f.Event == "log:facts:disposed" {
		l.decide(number, f.IDs)
	}
	if want, known := classOf[f.Event]; known && want != entry[9] {
		l.note(number)
	}
}

// classOf has the retention class of the events that the tests write.
var classOf = map[string]byte{
	"log:tree:begun": 0, "log:facts:disposed": 0, "ap:transfer:queued": 1, "mt:message:submitted": 1,
	"mt:message:read": 2, "vault:opening:denied": 3, "keys:key:created": 4,
}

func (l *exported) within(at time.Time) bool {
	if l.before != 0 && at.Before(time.Unix(l.before-tolerance, 0)) {
		return false
	}
	for _, each := range l.waiting {
		if each.witnessed != 0 {
			return !at.After(time.Unix(each.witnessed+tolerance, 0))
		}
	}
	return true
}

func (l *exported) decide(number int64, ids map[string]string) {
	classes := map[string]byte{"log": 0, "transfer": 1, "reading": 2, "access": 3, "administration": 4}
	retention, known := classes[ids["class"]]
	through, err := strconv.ParseInt(ids["through"], 10, 64)
	count, err2 := strconv.ParseInt(ids["entries"], 10, 64)
	if !known || err != nil || err2 != nil {
		l.note(number)
		return
	}
	c := l.classes[retention]
	if c == nil {
		c = &class{}
		l.classes[retention] = c
	}
	if retention == 0 || through <= c.through || through >= number || count < 0 {
		l.note(number)
		return
	}
	c.through, c.decision = through, number
	c.decided += count
}

func (l *exported) reach() error {
	var root tlog.Hash
	computed := false
	compare := func(stated tlog.Hash) (bool, error) {
		if !computed {
			found, err := tlog.TreeHash(l.size, l.hashes)
			if err != nil {
				return false, err
			}
			root, computed = found, true
		}
		return stated == root, nil
	}
	for _, each := range l.known {
		if each.N == l.size {
			same, err := compare(each.Hash)
			if err != nil {
				return err
			}
			if !same {
				l.stop(l.next())
				return nil
			}
		}
	}
	for len(l.waiting) > 0 && l.waiting[0].size <= l.size {
		stated := l.waiting[0]
		l.waiting = l.waiting[1:]
		same, err := compare(stated.root)
		if err != nil {
			return err
		}
		if stated.fault || !same {
			l.stop(l.next())
			return nil
		}
		l.before = max(l.before, stated.after)
		if stated.accepted {
			l.accepted = stated
		}
	}
	return nil
}

func (l *exported) end() {
	for _, each := range l.known {
		if each.N > l.size {
			l.note(l.next())
		}
	}
	if len(l.waiting) > 0 {
		l.note(l.next())
	}
	if l.accepted.size == 0 {
		l.note(max(l.first, 1))
	}
	for _, c := range l.classes {
		switch {
		case c.last > c.through:
			l.note(max(c.first, c.through+1))
		case c.kept > 0 && c.kept <= c.through:
			l.note(c.kept)
		case c.decision > 0 && c.count != c.decided:
			l.note(c.decision)
		}
	}
}

func (l *exported) next() int64 {
	if l.first == 0 {
		return l.chain + 1
	}
	return l.first + l.accepted.size
}

func (l *exported) note(number int64) {
	if l.wrong == 0 || number < l.wrong {
		l.wrong = number
	}
}

func (l *exported) stop(number int64) {
	l.note(number)
	l.stopped = true
}

func records(data []byte) ([][]byte, error) {
	var found [][]byte
	for len(data) > 0 {
		if len(data) < 4 || len(data) < 4+int(binary.BigEndian.Uint32(data)) {
			return nil, fmt.Errorf("a record ends early")
		}
		end := 4 + int(binary.BigEndian.Uint32(data))
		found, data = append(found, data[4:end]), data[end:]
	}
	return found, nil
}
