// Answers requests about transparency logs by the libraries of others: one JSON object a line in, one out.
package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type request struct {
	Call    string   `json:"call"`
	Policy  []byte   `json:"policy"`
	Content []byte   `json:"content"`
	Leaf    []byte   `json:"leaf"`
	Entries [][]byte `json:"entries"`
	Seed    []byte   `json:"seed"`
	Name    string   `json:"name"`
	Folder  string   `json:"folder"`
	Old     int64    `json:"old"`
	New     int64    `json:"new"`
	Index   int64    `json:"index"`
	Hashes  [][]byte `json:"hashes"`
	OldRoot []byte   `json:"old_root"`
	NewRoot []byte   `json:"new_root"`
	Known   [][]byte `json:"known"`
	Now     int64    `json:"now"`
}

type answer struct {
	Verdict string   `json:"verdict,omitempty"`
	Error   string   `json:"error,omitempty"`
	Origin  string   `json:"origin,omitempty"`
	Size    int64    `json:"size,omitempty"`
	Root    []byte   `json:"root,omitempty"`
	Roots   [][]byte `json:"roots,omitempty"`
	Hashes  [][]byte `json:"hashes,omitempty"`
	Entries [][]byte `json:"entries,omitempty"`
	Key     string   `json:"key,omitempty"`
	Content []byte   `json:"content,omitempty"`
	Paths   []string `json:"paths,omitempty"`
	Number  int64    `json:"number,omitempty"`
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	decoder := json.NewDecoder(in)
	for {
		var r request
		if err := decoder.Decode(&r); err != nil {
			return
		}
		a, err := respond(&r)
		if err != nil {
			a = verdict(err)
		}
		if err := out.Encode(a); err != nil {
			return
		}
	}
}

// verdict tells a document that is well-formed and wrong from one that cannot be read.
func verdict(err error) *answer {
	var invalid *note.InvalidSignatureError
	var unverified *note.UnverifiedNoteError
	var record *torchwood.VerifyRecordError
	said := "malformed"
	if errors.As(err, &invalid) || errors.As(err, &unverified) || errors.As(err, &record) {
		said = "wrong"
	}
	return &answer{Verdict: said, Error: err.Error()}
}

func respond(r *request) (*answer, error) {
	switch r.Call {
	case "checkpoint":
		policy, err := torchwood.ParsePolicy(r.Policy)
		if err != nil {
			return nil, err
		}
		c, _, err := torchwood.VerifyCheckpoint(r.Content, policy)
		if err != nil {
			return nil, err
		}
		return &answer{Verdict: "holds", Origin: c.Origin, Size: c.N, Root: c.Hash[:]}, nil
	case "proof":
		policy, err := torchwood.ParsePolicy(r.Policy)
		if err != nil {
			return nil, err
		}
		if err := torchwood.VerifyProof(policy, tlog.Hash(r.Leaf), r.Content); err != nil {
			return nil, err
		}
		return &answer{Verdict: "holds"}, nil
	case "policy":
		if _, err := torchwood.ParsePolicy(r.Policy); err != nil {
			return nil, err
		}
		return &answer{Verdict: "holds"}, nil
	case "check_record":
		if tlog.CheckRecord(hashes(r.Hashes), r.New, tlog.Hash(r.NewRoot), r.Index, tlog.Hash(r.Leaf)) != nil {
			return &answer{Verdict: "wrong"}, nil
		}
		return &answer{Verdict: "holds"}, nil
	case "check_tree":
		err := tlog.CheckTree(hashes(r.Hashes), r.New, tlog.Hash(r.NewRoot), r.Old, tlog.Hash(r.OldRoot))
		if err != nil {
			return &answer{Verdict: "wrong"}, nil
		}
		return &answer{Verdict: "holds"}, nil
	case "log":
		return verifyLog(r)
	case "roots":
		return roots(r)
	case "prove_record":
		stored, err := store(r.Entries)
		if err != nil {
			return nil, err
		}
		found, err := tlog.ProveRecord(r.New, r.Index, stored)
		return &answer{Hashes: bytesOf(found)}, err
	case "prove_tree":
		stored, err := store(r.Entries)
		if err != nil {
			return nil, err
		}
		found, err := tlog.ProveTree(r.New, r.Old, stored)
		return &answer{Hashes: bytesOf(found)}, err
	case "sign":
		return sign(r)
	case "cosign":
		return cosign(r)
	case "format_proof":
		return &answer{Content: torchwood.FormatProofWithExtraData(r.Index, r.Leaf, hashes(r.Hashes), r.Content)}, nil
	case "write_tiles":
		return writeTiles(r)
	case "read_tiles":
		return readTiles(r)
	}
	return nil, fmt.Errorf("there is no such call")
}

func hashes(given [][]byte) []tlog.Hash {
	found := make([]tlog.Hash, 0, len(given))
	for _, each := range given {
		found = append(found, tlog.Hash(each))
	}
	return found
}

func bytesOf(given []tlog.Hash) [][]byte {
	found := make([][]byte, 0, len(given))
	for _, each := range given {
		found = append(found, append([]byte{}, each[:]...))
	}
	return found
}

type storage []tlog.Hash

func (s storage) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for place, index := range indexes {
		found[place] = s[index]
	}
	return found, nil
}

func store(entries [][]byte) (storage, error) {
	var stored storage
	for number, entry := range entries {
		added, err := tlog.StoredHashes(int64(number), entry, stored)
		if err != nil {
			return nil, err
		}
		stored = append(stored, added...)
	}
	return stored, nil
}

func roots(r *request) (*answer, error) {
	stored, err := store(r.Entries)
	if err != nil {
		return nil, err
	}
	found := [][]byte{}
	for size := range int64(len(r.Entries)) + 1 {
		root, err := tlog.TreeHash(size, stored)
		if err != nil {
			return nil, err
		}
		found = append(found, append([]byte{}, root[:]...))
	}
	return &answer{Roots: found}, nil
}

func sign(r *request) (*answer, error) {
	private := ed25519.NewKeyFromSeed(r.Seed)
	key, err := note.NewEd25519VerifierKey(r.Name, private.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	secret := "PRIVATE+KEY+" + key[:len(r.Name)+10] + base64.StdEncoding.EncodeToString(append([]byte{1}, r.Seed...))
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: string(r.Content)}, signer)
	return &answer{Key: key, Content: signed}, err
}

func cosign(r *request) (*answer, error) {
	signer, err := torchwood.NewCosignatureSigner(r.Name, ed25519.NewKeyFromSeed(r.Seed))
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: string(r.Content)}, signer)
	return &answer{Key: signer.Verifier().String(), Content: signed}, err
}

func writeTiles(r *request) (*answer, error) {
	stored, err := store(r.Entries)
	if err != nil {
		return nil, err
	}
	paths := []string{}
	for _, tile := range tlog.NewTiles(torchwood.TileHeight, r.Old, int64(len(r.Entries))) {
		data, err := tlog.ReadTileData(tile, stored)
		if err != nil {
			return nil, err
		}
		path := torchwood.TilePath(tile)
		paths = append(paths, path)
		if err := write(filepath.Join(r.Folder, path), data); err != nil {
			return nil, err
		}
	}
	return &answer{Paths: paths}, nil
}

func write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// readTiles reads all entries of a log that lies in a folder, and verifies them against its checkpoint.
func readTiles(r *request) (*answer, error) {
	policy, err := torchwood.ParsePolicy(r.Policy)
	if err != nil {
		return nil, err
	}
	reader, err := torchwood.NewTileFS(os.DirFS(r.Folder))
	if err != nil {
		return nil, err
	}
	content, err := reader.ReadEndpoint(context.Background(), "checkpoint")
	if err != nil {
		return nil, err
	}
	c, _, err := torchwood.VerifyCheckpoint(content, policy)
	if err != nil {
		return nil, err
	}
	client, err := torchwood.NewClient(reader)
	if err != nil {
		return nil, err
	}
	found := [][]byte{}
	for _, entry := range client.AllEntries(context.Background(), c.Tree, 0) {
		found = append(found, append([]byte{}, entry...))
	}
	if err := client.Err(); err != nil {
		return &answer{Verdict: "wrong", Error: err.Error()}, nil
	}
	return &answer{Verdict: "holds", Entries: found, Size: c.N}, nil
}
